"""The table of losses: each name has all that the package asks for, and does what its plain form does."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from fastmlp import MLP, reference
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.examples import checked_targets
from fastmlp.nn.loss import LOSSES, RANGES, SETTINGS, Loss, loss_named
from fastmlp_kernels._loss_table import CODES
from fastmlp_kernels._loss_table import LOSSES as COMPILED

K = 6
# What the plain forms call the settings, and a value of each.
GIVEN = {"smoothing": 0.3, "delta": 0.7}


def targets_of(loss, rng, shape, dtype):
    """Return targets of a loss's kind for outputs of this shape."""
    if loss.of_classes:
        return rng.integers(0, shape[1], shape[0])
    made = {"labels": rng.random, "numbers": rng.standard_normal, "counts": lambda shape: rng.poisson(2, shape)}
    return made[loss.targets](shape).astype(dtype)


def batch_of(loss, rng, dtype, n=9):
    """Return (z, bias, targets, weights) of a loss."""
    z, bias = rng.standard_normal((n, K)).astype(dtype), rng.standard_normal(K).astype(dtype)
    return z, bias, targets_of(loss, rng, (n, K), dtype), rng.random(n).astype(dtype)


def test_the_tables_have_the_same_names_in_the_same_order():
    assert list(LOSSES) == list(reference.LOSSES) == ["cross-entropy", *COMPILED]
    assert [loss.name for loss in LOSSES.values()] == list(LOSSES)
    assert list(CODES) == list(COMPILED)
    assert MLP((2, 2)).loss is LOSSES["cross-entropy"]
    for loss in LOSSES.values():
        assert set(loss.settings) <= set(SETTINGS)
        assert loss.of_classes or loss.targets in RANGES


@pytest.mark.parametrize("set_", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_and_its_gradient_are_those_of_its_plain_form(name, dtype, tolerance, set_, rng):
    given = {setting: GIVEN[setting] for setting in LOSSES[name].settings if setting in GIVEN and set_}
    loss = loss_named(name, **given)
    z, bias, targets, weights = batch_of(loss, rng, dtype)
    wide = [x.astype(float) for x in (z, bias, targets, weights)]
    wide[2] = targets if loss.of_classes else wide[2]
    want = reference.LOSSES[name](*wide, **given)
    for total in (len(z), 4.5):
        out, dbias, more = z.copy(), np.empty_like(bias), len(z) / total
        value = loss.of_outputs(z, bias, targets, weights, total)
        assert loss.of_batch(out, bias, targets, weights, dbias, total) == value
        assert value == (pytest.approx(want[0] * more, rel=tolerance), want[1])
        for got, exact in ((out, want[2]), (dbias, want[3])):
            np.testing.assert_allclose(got, exact * more, rtol=0, atol=tolerance)
    plain = reference.LOSSES[name](*wide[:3], **given)
    assert loss.of_outputs(z, bias, targets, None, len(z)) == (pytest.approx(plain[0], rel=tolerance), plain[1])


@pytest.mark.parametrize("name", LOSSES)
def test_each_gradient_is_that_of_the_value(name, rng):
    step = 1e-6  # whose square, and eps over it, leave nine digits
    for setting in ("", *(set(LOSSES[name].settings) & set(GIVEN))):
        loss = loss_named(name, **({setting: GIVEN[setting]} if setting else {}))
        z, bias, targets, weights = batch_of(loss, rng, float)
        gradient, dbias = z.copy(), np.empty(K)
        loss.of_batch(gradient, bias, targets, weights, dbias, len(z))
        for i, k in np.ndindex(z.shape):
            ahead, behind = z.copy(), z.copy()
            ahead[i, k] += step
            behind[i, k] -= step
            values = [loss.of_outputs(x, bias, targets, weights, len(z))[0] for x in (ahead, behind)]
            assert gradient[i, k] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_each_output_function_and_its_logarithm(name, rng):
    loss = LOSSES[name]
    z = rng.standard_normal((4, K))
    out, log = np.empty_like(z), np.empty_like(z)
    loss.output_kernel(z, out)
    if loss.log_output is None:
        np.testing.assert_array_equal(out, z)
        with pytest.raises(ConfigError, match="no logarithm"):
            _ = loss.log_output_kernel
        return
    loss.log_output_kernel(z, log)
    np.testing.assert_allclose(log, np.log(out), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_an_output_that_is_the_target_costs_least(name, rng):
    loss = LOSSES[name]
    if not loss.of_classes:
        targets = targets_of(loss, rng, (9, K), float) + (0.1 if loss.targets == "counts" else 0)
        z = {"labels": lambda t: np.log(t / (1 - t)), "numbers": lambda t: t, "counts": np.log}[loss.targets](targets)
        gradient = z.copy()
        value, _ = loss.of_batch(gradient, np.zeros(K), targets, None, np.empty(K), len(z))
        np.testing.assert_allclose(gradient, 0, atol=1e-15)
        if loss.targets != "labels":
            assert 0 <= value < 1e-14


TORCH = {"logistic": K, "squared-error": K / 2, "poisson": K, "huber": K}  # our sum over outputs, their mean over all


@pytest.mark.parametrize("name", LOSSES)
def test_pytorch_has_the_loss(name, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
    loss = LOSSES[name]
    for setting in ("", *(set(loss.settings) & set(GIVEN))):
        own = loss_named(name, **({setting: GIVEN[setting]} if setting else {}))
        z, bias, targets, _ = batch_of(loss, rng, float)
        theirs = {"smoothing": {"label_smoothing": own.smoothing}, "delta": {"delta": own.delta}, "": {}}[setting]
        wanted = targets
        if name == "logistic":
            wanted, theirs = targets * (1 - own.smoothing) + own.smoothing / 2, {}
        value = getattr(torch.nn.functional, loss.torch)(torch.from_numpy(z + bias), torch.from_numpy(wanted), **theirs)
        want = value.item() * TORCH.get(name, 1)
        if name == "poisson":  # theirs leaves out what does not depend on the outputs
            want += np.mean((targets * np.log(np.maximum(targets, 1)) - targets).sum(axis=1))
        assert own.of_outputs(z, bias, targets, None, len(z))[0] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("name", ["cross-entropy", "logistic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reported_probabilities_can_be_clipped_as_scikit_learn_does(name, dtype):
    eps = float(np.finfo(dtype).eps)
    loss = loss_named(name, clip=eps)
    z = np.array([[0, 60], [60, 0], [0, 0.5]], dtype)
    targets = np.array([1, 1, 0]) if loss.of_classes else np.array([[0, 1], [0, 1], [1, 0]], dtype)
    p = reference.softmax(z.astype(float)) if loss.of_classes else reference.bias_sigmoid(z.astype(float), 0)
    p = np.clip(p, eps, 1 - eps)
    each = -np.log(p[np.arange(3), targets]) if loss.of_classes else -np.log(np.where(targets == 1, p, 1 - p)).sum(1)
    bias, weights = np.zeros(2, dtype), np.array([1, 2, 3], dtype)
    assert loss.of_outputs(z, bias, targets, None, 3)[0] == pytest.approx(each.mean(), rel=1e-6)
    assert loss.of_outputs(z, bias, targets, weights, 6)[0] == pytest.approx(each @ weights / 6, rel=1e-6)
    gradients = []
    for own in (loss, LOSSES[name]):
        out = z.copy()
        own.of_batch(out, bias, targets, weights, np.empty_like(bias), 6)
        gradients.append(out)
    np.testing.assert_array_equal(*gradients)


def score(loss, z, targets, weights=None):
    """Return the score of outputs z, with the bias in them."""
    value, correct = loss.of_outputs(z, np.zeros(z.shape[1], z.dtype), targets, weights, len(z))
    return loss.score_of(value, correct / len(z), loss.spread_of(targets, weights, z.shape[1]))


def test_scores(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    z, t, weights = rng.standard_normal((50, 3)), rng.standard_normal((50, 3)), rng.random(50)
    weights /= weights.mean()
    want = metrics.r2_score(t, z, sample_weight=weights, multioutput="variance_weighted")
    assert score(LOSSES["squared-error"], z, t, weights) == pytest.approx(want, rel=1e-12)
    counts = rng.poisson(2.0, 50).astype(float)
    want = metrics.d2_tweedie_score(counts, np.exp(z[:, 0]), sample_weight=weights, power=1)
    assert score(LOSSES["poisson"], z[:, :1].copy(), counts[:, None], weights) == pytest.approx(want, rel=1e-12)
    wide = loss_named("huber", delta=1e6)  # where none is beyond it, the loss is the squared error
    assert score(wide, z, t, weights) == pytest.approx(score(LOSSES["squared-error"], z, t, weights), rel=1e-9)
    labels = (rng.random((50, 3)) < 0.5).astype(float)
    right = metrics.accuracy_score(labels, (z > 0).astype(float))
    assert score(LOSSES["logistic"], z, labels) == pytest.approx(right, rel=1e-15)


@pytest.mark.parametrize("name", ["squared-error", "poisson", "huber"])
@pytest.mark.parametrize("delta", [0.01, 1.0, 30.0])
def test_no_constant_answer_is_better_than_the_best(name, delta, rng):
    loss = loss_named(name, **({"delta": delta} if name == "huber" else {}))
    targets = rng.poisson(3.0, (40, 2)) * np.array([1.0, 10.0])
    weights = rng.random(40)
    weights /= weights.mean()
    known = loss.spread_of(targets, weights, 2)
    answers = np.linspace(0.01, targets.max(), 4001)
    answers = np.log(answers) if name == "poisson" else answers
    least = 0.0
    for k in range(2):
        column = targets[:, k : k + 1].copy()
        least += min(loss.of_outputs(np.full((40, 1), a), np.zeros(1), column, weights, 40)[0] for a in answers)
    assert known[0] <= least * (1 + 1e-12)
    assert known[0] == pytest.approx(least, rel=1e-3)
    assert known[1] == 0


@pytest.mark.parametrize("name", ["squared-error", "huber"])
def test_the_score_where_all_targets_are_one(name):
    targets = np.full((4, 1), 0.1)
    assert score(LOSSES[name], targets.copy(), targets) == 1
    assert score(LOSSES[name], targets + 1, targets) < 1


@pytest.mark.parametrize("spread", [(1.0, 0.0), (0.0, 0.0)])
def test_the_score_of_no_number_is_none(spread):
    assert np.isnan(LOSSES["poisson"].score_of(np.nan, 0.0, spread))


def test_a_copy_is_the_same_loss_with_its_settings():
    for loss in (*LOSSES.values(), loss_named("huber", delta=3.0, by_weight=True), loss_named("logistic", clip=1e-7)):
        for same in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
            assert same == loss
            assert same.criterion == loss.criterion
        assert loss_named(loss) is loss


@pytest.mark.parametrize("name", ["hinge", "", None, 3, ["logistic"]])
def test_an_unknown_loss_is_refused_with_those_that_there_are(name):
    with pytest.raises(
        ConfigError, match=r"loss is .*, allowed: cross-entropy, logistic, squared-error, poisson, huber"
    ):
        loss_named(name)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("squared-error", "smoothing", 0.1), ("poisson", "delta", 2.0), ("logistic", "colour", 1),
        ("huber", "delta", 0), ("huber", "delta", np.nan), ("huber", "delta", "1"),
        ("cross-entropy", "smoothing", 1.0), ("logistic", "smoothing", -0.1), ("cross-entropy", "clip", 0.5),
        ("logistic", "clip", np.nan), ("squared-error", "by_weight", 1.5),
    ],
)  # fmt: skip
def test_a_setting_that_does_not_fit_is_refused_by_name(name, setting, value):
    with pytest.raises(ConfigError, match=setting):
        loss_named(name, **{setting: value})
    if setting in SETTINGS:
        with pytest.raises(ConfigError, match=setting):
            replace(LOSSES[name], **{setting: value})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("logistic", 1.5, "a number from 0 to 1"), ("logistic", -0.1, "a number from 0 to 1"),
        ("poisson", -1, "a finite number, 0 or more"), ("poisson", np.inf, "a finite number, 0 or more"),
        ("squared-error", np.nan, "a finite number"), ("huber", 1e39, "a finite number in float32"),
    ],
)  # fmt: skip
def test_a_target_out_of_range_is_told_with_its_place(name, value, allowed):
    targets = np.zeros((5, 2))
    targets[3, 1] = value
    with pytest.raises(DataError, match=rf"targets\[3, 1\] is .*, allowed for loss {name} is {allowed}"):
        checked_targets(LOSSES[name], targets, 5, 2, np.dtype(np.float32))


def test_targets_take_the_network_s_form():
    one: Loss = LOSSES["squared-error"]
    made = checked_targets(one, [1, 2, 3], 3, 1, np.dtype(np.float32))
    assert (made.dtype, made.shape) == (np.float32, (3, 1))
    for wrong in (np.zeros(3), np.zeros((3, 3)), np.zeros((2, 2)), np.array([["a", "b"]] * 3)):
        with pytest.raises(DataError, match=r"targets are .* expected 3 rows of 2 numbers, one an output unit"):
            checked_targets(one, wrong, 3, 2, np.dtype(np.float32))
    with pytest.raises(DataError, match=r"labels\[1\] is 2, allowed is 0 to 1"):
        checked_targets(LOSSES["cross-entropy"], np.array([0, 2]), 2, 2, np.dtype(np.float32))
