"""Softmax and cross-entropy against the reference: usual, extreme and tied logits, improbable labels, NaN, infinity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastmlp_kernels
from arrays import assert_within, fenced, logit_batches, normal
from fastmlp import reference
from fastmlp_kernels import _loss_table, loss
from fastmlp_kernels._jit import kernel

DTYPES = (np.float32, np.float64)


def cross_entropy(logits, bias, labels):
    """Return (loss, correct, gradient, dbias) from copies that stand between fences."""
    with fenced(logits, bias, labels, np.full_like(bias, np.nan)) as (out, same_bias, same_labels, dbias):
        loss, correct = fastmlp_kernels.softmax_cross_entropy(out, same_bias, same_labels, dbias)
        np.testing.assert_array_equal(same_bias, bias)
        np.testing.assert_array_equal(same_labels, labels)
    return loss, correct, out, dbias


def softmax(logits, bias):
    with fenced(logits, bias) as (out, same_bias):
        fastmlp_kernels.bias_softmax(out, same_bias)
        np.testing.assert_array_equal(same_bias, bias)
    return out


def shifted(logits, bias):
    """Return logits + bias less the row's largest, rounded as the kernel rounds: what is left are its own errors."""
    z = logits + bias
    return (z - z.max(axis=1, keepdims=True)).astype(np.float64), np.zeros(1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_gradient_and_count_equal_the_reference(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for logits, bias, labels in logit_batches(rng, dtype):
        n, classes = logits.shape
        loss, correct, dlogits, dbias = cross_entropy(logits, bias, labels)
        want_loss, _, want, want_dbias = reference.softmax_cross_entropy(*shifted(logits, bias), labels)
        # A row's sum of exponentials, or of those of the others than the label, is off by (K - 1)/2 eps for the
        # additions and 1 eps for the terms, relatively, and so is a sure answer's loss; scaling adds 2.5 eps. Rows of a
        # block are added in pairs, and the blocks' sums with what that rounds off.
        row, tiny = (classes / 2 + 5) * eps, np.finfo(dtype).tiny
        summing = n * float(np.finfo(np.float64).eps)  # in float64 whatever the logits
        assert_within(np.array(loss), np.array(want_loss), (row + summing) * want_loss + tiny)
        assert_within(dlogits, want, row * np.abs(want) + tiny)
        assert_within(dbias, want_dbias, (row + 14 * eps) * np.abs(want).sum(axis=0) + n * tiny)
        assert correct == np.sum((logits + bias).argmax(axis=1) == labels)
        assert isinstance(loss, float)
        assert isinstance(correct, int)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_a_gradient_the_figures_are_the_same_and_nothing_is_written(dtype, rng):
    for logits, bias, labels in logit_batches(rng, dtype):
        loss, correct, _, _ = cross_entropy(logits, bias, labels)
        before = logits.copy(), bias.copy(), labels.copy()
        assert fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels) == (loss, correct)
        for array, same in zip((logits, bias, labels), before, strict=True):
            np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_multiply_each_row_s_loss_and_gradient(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for logits, bias, labels in logit_batches(rng, dtype):
        n, classes = logits.shape
        weights = rng.integers(0, 4, n).astype(dtype)
        out, dbias = logits.copy(), np.empty_like(bias)
        loss, correct = fastmlp_kernels.softmax_cross_entropy(out, bias, labels, dbias, weights)
        want_loss, _, want, want_dbias = reference.softmax_cross_entropy(*shifted(logits, bias), labels, weights)
        row, tiny = (classes / 2 + 5) * eps, np.finfo(dtype).tiny  # as without weights
        assert_within(np.array(loss), np.array(want_loss), (row + n * 2.3e-16) * want_loss + tiny)
        assert_within(out, want, row * np.abs(want) + tiny)
        assert_within(dbias, want_dbias, (row + 14 * eps) * np.abs(want).sum(axis=0) + n * tiny)
        assert not out[weights == 0].any()
        assert fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels, weights) == (loss, correct)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 1])
def test_rows_with_the_label_to_ignore_count_in_nothing(ignored, weighted, smoothing, rng):
    n, classes, dtype = 9000, 7, np.float32  # of so many elements that rows are taken in two parts
    logits, bias = normal(rng, (n, classes), dtype, 3), normal(rng, (classes,), dtype)
    labels = rng.integers(0, classes, n)
    labels[rng.random(n) < 0.3] = ignored
    logits[np.flatnonzero(labels == ignored)[:3]] = np.array([[np.nan], [np.inf], [1e38]], dtype)
    weights = rng.uniform(0, 2, n).astype(dtype) if weighted else None
    if weights is not None:
        weights[np.flatnonzero(labels == ignored)[0]] = np.nan
    counts = labels != ignored
    want = logits[counts], bias, labels[counts], np.empty_like(bias), None if weights is None else weights[counts]
    want_loss, want_correct = fastmlp_kernels.softmax_cross_entropy(*want, smoothing)
    arguments = {"weights": weights, "label_smoothing": smoothing, "ignore_index": ignored}
    evaluated = fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels, **arguments)
    plain = reference.softmax_cross_entropy(logits.astype(np.float64), bias, labels, weights, smoothing, ignored)
    with fenced(logits, np.full_like(bias, np.nan)) as (out, dbias):
        loss, correct = fastmlp_kernels.softmax_cross_entropy(out, bias, labels, dbias, **arguments)
        np.testing.assert_array_equal(out[counts], want[0])
        assert not out[~counts].any()
        np.testing.assert_allclose(dbias, want[3], rtol=0, atol=1e-6 * np.abs(out).sum(axis=0).max())
        np.testing.assert_allclose(out, plain[2], rtol=0, atol=3e-5 / n)
    assert (loss, correct) == evaluated
    assert loss == pytest.approx(want_loss, rel=1e-14)
    assert (loss, correct) == (pytest.approx(plain[0], rel=1e-6), want_correct)


def test_a_batch_in_which_no_row_counts_has_no_loss_and_one_in_which_all_do_the_same_bits(rng):
    logits, bias, labels = normal(rng, (20, 5), np.float64), normal(rng, (5,), np.float64), rng.integers(0, 5, 20)
    plain, wanted = logits.copy(), cross_entropy(logits, bias, labels)
    dbias = np.empty(5)
    assert fastmlp_kernels.softmax_cross_entropy(plain, bias, labels, dbias, ignore_index=-1) == wanted[:2]
    np.testing.assert_array_equal(plain, wanted[2])
    np.testing.assert_array_equal(dbias, wanted[3])
    for ignored in (-1, 3, 10**30):
        labels[:] = min(ignored, 3)
        got = fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels, ignore_index=ignored)
        assert (got == (0.0, 0)) == (ignored < 10**30)
    logits[0] = np.nan
    labels[:] = -1
    assert fastmlp_kernels.softmax_cross_entropy(logits, bias, labels, dbias, ignore_index=-1) == (0.0, 0)
    assert not logits.any()
    assert not dbias.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_one_change_no_bit(dtype, rng):
    for logits, bias, labels in logit_batches(rng, dtype):
        plain = cross_entropy(logits, bias, labels)
        out, dbias = logits.copy(), np.empty_like(bias)
        weights = np.ones(len(labels), dtype)
        assert fastmlp_kernels.softmax_cross_entropy(out, bias, labels, dbias, weights) == plain[:2]
        np.testing.assert_array_equal(out, plain[2])
        np.testing.assert_array_equal(dbias, plain[3])


def test_arrays_that_are_only_read_may_be_read_only(rng):
    logits, bias, labels = next(logit_batches(rng, np.float32))
    wanted = fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels)
    for array in (logits, bias, labels):
        array.flags.writeable = False
    assert fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels) == wanted


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_equals_the_reference_and_sums_to_one(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for logits, bias, _ in logit_batches(rng, dtype):
        p = softmax(logits, bias)
        want = reference.bias_softmax(*shifted(logits, bias))
        assert_within(p, want, (logits.shape[1] / 2 + 4) * eps * want + np.finfo(dtype).tiny)
        # K rounded terms, and the rounding of their sum: at most half an ULP for each addition, one lane at worst
        most = (logits.shape[1] / 2 + 8) * eps
        np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=most)
        assert p.min() >= 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("less", [0.5, 3.0, 16.0, 18.42, 40.0, 80.0, 95.0])
def test_a_sure_answer_keeps_its_loss_and_gradient(dtype, less):
    """The differences are exact here, so that only exp, the sum of two or 20 others, log1p and scaling are left."""
    less, eps, tiny = dtype(less), float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_subnormal)
    for n, others in ((1, 1), (1, 20), (3000, 2)):  # the product of the rows' sums is taken in one logarithm
        logits, labels = np.full((n, 1 + others), -less), np.arange(n) % (1 + others)
        logits[np.arange(n), labels] = 0
        share = others * np.exp(-np.float64(less))
        loss, correct, gradient, _ = cross_entropy(logits, np.zeros(1 + others, dtype), labels)
        bound = (others / 2 + 4) * eps
        assert loss == pytest.approx(np.log1p(share), rel=bound + n * 2.3e-16, abs=others * tiny)
        assert correct == n
        own = gradient[np.arange(n), labels].astype(np.float64) * n
        np.testing.assert_allclose(own, -share / (1 + share), rtol=bound, atol=2 * n * others * tiny)
        weights = np.full(n, 0.5, dtype)
        half, _ = fastmlp_kernels.softmax_cross_entropy_eval(logits, np.zeros(1 + others, dtype), labels, weights)
        assert half == pytest.approx(loss / 2, rel=1e-12, abs=0)


def test_sure_answers_by_their_digits():
    for dtype, less, want in ((np.float32, 18.42, 1.00068e-08), (np.float64, 40.0, 4.24835e-18)):
        loss, _, gradient, dbias = cross_entropy(np.array([[less, 0]], dtype), np.zeros(2, dtype), np.array([0]))
        assert loss == pytest.approx(want, rel=1e-5, abs=0)
        np.testing.assert_allclose(gradient, [[-want, want]], rtol=1e-5)
        np.testing.assert_array_equal(dbias, gradient[0])


def test_rows_that_spread_beyond_their_dtype():
    low, bias = np.array([[-3.4e38, 3.4e38, 0.0]], np.float32), np.array([0.0, 0.0, 1.0], np.float32)
    loss, correct, gradient, _ = cross_entropy(low, bias, np.array([0]))
    assert (loss, correct) == (2 * np.float64(np.float32(3.4e38)), 0)
    np.testing.assert_array_equal(gradient, [[-1, 1, 0]])
    assert cross_entropy(low, bias, np.array([1]))[:2] == (0.0, 1)
    np.testing.assert_array_equal(softmax(low, bias), [[0, 1, 0]])
    wide = np.array([[-1.7e308, 1.7e308]])  # no float64 holds 3.4e308
    loss, _, gradient, _ = cross_entropy(wide, np.zeros(2), np.array([0]))
    assert loss == np.inf
    np.testing.assert_array_equal(gradient, [[-1, 1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_of_an_improbable_label_is_exact(dtype):
    for gap in (40.0, 104.0, 800.0, 1e4, 1e30):
        logits = np.array([[gap / 2, -gap / 2]], dtype)
        loss, correct, gradient, _ = cross_entropy(logits, np.zeros(2, dtype), np.array([1]))
        assert loss == np.float64(dtype(gap))  # the missing log(1 + exp(-40)) is 4e-18
        assert correct == 0
        np.testing.assert_allclose(gradient, [[1, -1]], rtol=0, atol=1e-15)


def test_by_hand():
    # Differences of ln 3 and 0: probabilities 3/4 and 1/4, 1/2 and 1/2. Half of the logits is in the bias.
    third = np.log(3.0)
    logits, bias = np.array([[third / 2, 0.0], [0.0, third / 2]]), np.array([third / 2, 0.0])
    loss, correct, gradient, dbias = cross_entropy(logits, bias, np.array([1, 0]))
    assert loss == pytest.approx((np.log(4) + np.log(2)) / 2, rel=1e-15)
    assert correct == 1  # of two equal logits the first counts
    np.testing.assert_allclose(gradient, [[0.375, -0.375], [-0.25, 0.25]], rtol=1e-15)
    np.testing.assert_allclose(dbias, [0.125, -0.125], rtol=1e-15)


def test_the_loss_does_not_drift_over_many_rows():
    n, classes = 2**17, 3  # every row loses ln 3; the product of row sums passes its limit some 300 times
    loss, correct, _, dbias = cross_entropy(
        np.zeros((n, classes), np.float32), np.zeros(3, np.float32), np.zeros(n, int)
    )
    assert loss == pytest.approx(np.log(3), rel=1e-12)
    assert correct == n
    np.testing.assert_allclose(dbias, [-2 / 3, 1 / 3, 1 / 3], rtol=2e-7)


def test_the_bias_gradient_does_not_drift_over_many_rows(rng):
    n = 2_000_000
    for classes in (1, 2, 3):
        logits, labels, dbias = np.zeros((n, classes), np.float32), np.zeros(n, np.int64), np.empty(classes, np.float32)
        if classes == 3:
            logits[:], labels[:] = rng.random((n, 3), np.float32), rng.integers(0, 3, n)
        fastmlp_kernels.softmax_cross_entropy(logits, np.zeros(classes, np.float32), labels, dbias)
        sums, size = logits.sum(axis=0, dtype=np.float64), np.abs(logits).sum(axis=0, dtype=np.float64)
        assert_within(dbias, sums, 1e-6 * size)


def test_rows_of_millions_of_classes():
    classes = 3_000_000
    for less in (0.1, 3.7):
        logits, bias = np.full((1, classes), -less, np.float32), np.zeros(classes, np.float32)
        logits[0, 1] = 0
        share = (classes - 1) * np.exp(np.float64(logits[0, 0]))
        loss, _, gradient, dbias = cross_entropy(logits, bias, np.array([1]))
        assert loss == pytest.approx(np.log1p(share), rel=1e-6)
        assert gradient[0, 1] == pytest.approx(-share / (1 + share), rel=1e-6)
        assert gradient[0, 0] == pytest.approx(share / (1 + share) / (classes - 1), rel=2e-6)
        np.testing.assert_array_equal(dbias, gradient[0])
        assert softmax(logits, bias)[0, 0] == pytest.approx(gradient[0, 0], rel=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nan", [np.nan, -np.nan])
def test_nan_in_a_row_makes_the_loss_nan_and_stays_in_its_row(dtype, nan):
    logits, labels = np.zeros((3, 2), dtype), np.zeros(3, np.int64)
    logits[1, 1] = nan
    loss, _, gradient, dbias = cross_entropy(logits, np.zeros(2, dtype), labels)
    assert np.isnan(loss)
    np.testing.assert_array_equal(np.isnan(gradient), [[False] * 2, [True] * 2, [False] * 2])
    assert np.isnan(dbias).all()
    np.testing.assert_array_equal(np.isnan(softmax(logits, np.zeros(2, dtype))), np.isnan(gradient))
    assert np.isnan(fastmlp_kernels.softmax_cross_entropy_eval(logits, np.zeros(2, dtype), labels)[0])


def test_infinite_logits():
    bias, labels = np.zeros(3, np.float32), np.array([0])
    for row in ([np.inf, 0, 0], [-np.inf] * 3):  # inf - inf, as in numpy
        assert np.isnan(cross_entropy(np.array([row], np.float32), bias, labels)[0])
    impossible = np.array([[-np.inf, 0, 0]], np.float32)
    loss, correct, gradient, _ = cross_entropy(impossible, bias, labels)
    assert loss == np.inf
    assert correct == 0
    np.testing.assert_array_equal(gradient, np.array([[-1, 0.5, 0.5]], np.float32))
    np.testing.assert_array_equal(softmax(impossible, bias), [[0, 0.5, 0.5]])


def test_the_first_of_equal_logits_counts_whatever_the_sign_of_zero():
    for row in ([0.0, -0.0, -1.0], [-0.0, 0.0, -1.0], [5.0, 5.0, 5.0]):
        logits, bias = np.array([row], np.float32), np.full(3, -0.0, np.float32)
        counts = [cross_entropy(logits, bias, np.array([label]))[1] for label in range(3)]
        assert counts == [1, 0, 0]


BATCHES = st.tuples(st.integers(1, 20), st.integers(1, 40)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=st.floats(-1e4, 1e4, width=32)),
        arrays(np.float32, shape[1:], elements=st.floats(-100, 100, width=32)),
        arrays(np.int64, shape[:1], elements=st.integers(0, shape[1] - 1)),
    )
)


@given(BATCHES)
def test_properties_of_the_loss(batch):
    logits, bias, labels = batch
    n, classes = logits.shape
    loss, correct, gradient, dbias = cross_entropy(logits, bias, labels)
    assert loss >= 0
    assert correct == np.sum((logits + bias).argmax(axis=1) == labels)
    assert loss <= np.log(classes) * (1 + 1e-6) or correct < n
    eps = float(np.finfo(np.float32).eps)
    at_label = np.arange(classes) == labels[:, None]
    assert (gradient[at_label] <= 0).all()
    assert (gradient[~at_label] >= 0).all()
    assert_within(gradient.sum(axis=1, dtype=np.float64), np.zeros(n), (classes + 8) * eps / n)
    assert_within(dbias, gradient.sum(axis=0, dtype=np.float64), n * eps)
    assert fastmlp_kernels.softmax_cross_entropy_eval(logits, bias, labels) == (loss, correct)


@given(BATCHES)
def test_softmax_keeps_the_order_and_sums_to_one(batch):
    logits, bias, _ = batch
    z, p = logits + bias, softmax(logits, bias)
    np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=1e-6)
    # exp1 is within 1 ULP, so that of two near logits the larger may come 2 ULP behind
    by_logit = np.take_along_axis(p, z.argsort(axis=1), axis=1).astype(np.float64)
    assert (by_logit[:, :-1] <= by_logit[:, 1:] * (1 + 4 * np.finfo(np.float32).eps) + 1e-44).all()


def test_a_loss_between_its_bounds_is_known_to_be_without_a_logarithm():
    low, high = 1e-7, 16.0
    criterion = _loss_table.Criterion(0, 0.0, 0.0, low, high)
    numbers = [0.0, *np.logspace(-10, 3, 200).tolist(), np.inf, np.nan]
    between = {(gap, more) for gap in numbers for more in numbers if lies_between(gap, more, criterion)}
    for gap, more in between:
        assert low * (1 - 1e-9) <= gap + np.log1p(more) <= high * (1 + 1e-9)
    wanted = {(g, m) for g in numbers for m in numbers if 2 * low < g + m < high}  # nearly all there are in training
    assert wanted <= between


@kernel
def lies_between(gap, more, criterion):
    return loss._lies_between(gap, more, criterion)
