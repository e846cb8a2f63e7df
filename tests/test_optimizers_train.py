"""All optimisers as networks train with them: beside the reference, scikit-learn and PyTorch, and bit for bit."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, Adam, AdamW, ImageInput, Nesterov, reference
from fastmlp.nn.fit import fit
from fastmlp.nn.optimizer import OPTIMIZERS, Optimizer
from fastmlp.runs import checkpoint

RNG = np.random.default_rng(5)
ROWS, SIZES = 200, (48, 32, 5)
X = RNG.standard_normal((ROWS, SIZES[0]))
LABELS = RNG.integers(0, SIZES[-1], ROWS)
ORDER = RNG.permutation(ROWS)
RATES = {"sgd": 0.05, "nesterov": 0.05, "adam": 0.002, "adamw": 0.002}


def made(name: str, **settings: Any) -> Optimizer:
    return OPTIMIZERS[name](**({"lr": RATES[name], "weight_decay": 0.1} | settings))


def network(precision: str = "float32", sizes: Any = SIZES, **options: Any) -> MLP:
    own: dict[str, Any] = {"threads": 1} | options
    return MLP(sizes, "tanh", precision=precision, **own)


def trained(optimizer: Optimizer, epochs: int = 2, batch: int = 40, **options: Any) -> np.ndarray:
    model = network(**options)
    x = RNG_X[:, : model.sizes[0]].astype(model.dtype)
    for _ in range(epochs):
        model.train_epoch(x, LABELS, optimizer, ORDER, batch)
    return model.parameters


RNG_X = np.random.default_rng(6).standard_normal((ROWS, 300))


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.3, "decay_per": "batch"}], ids=["plain", "clipped"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("way", "tolerance"), [
    ({"precision": "float64", "matmul": "blas"}, 1e-13),
    ({"precision": "float64", "matmul": "packed"}, 1e-13),
    # Rounding errors of a gradient are some 1e-7 of it. A step of Adam is the gradient's sign at first, and later its
    # share in the latest ones, so that where it is near 0 the step has a larger error than it: up to the rate of 2e-3.
    ({"precision": "float32", "matmul": "packed"}, 5e-6),
], ids=["blas-float64", "packed-float64", "packed-float32"])  # fmt: skip
def test_200_steps_equal_the_reference(way, tolerance, name, settings):
    optimizer = made(name, **settings)
    model = network(**way)
    x, wide = X.astype(model.dtype), X.astype(model.dtype).astype(np.float64)
    plain = reference.Network([layer.weight for layer in model.layers], [layer.bias for layer in model.layers], "tanh")
    options = {setting: getattr(optimizer, setting) for setting in optimizer.SETTINGS}
    options |= {"clip": optimizer.clip_norm} if optimizer.clip_norm else {}
    options |= {"weight_decay": options["weight_decay"] / (40 if optimizer.decay_per == "batch" else 1)}
    for _ in range(40):
        model.train_epoch(x, LABELS, optimizer, ORDER, 40)
        for start in range(0, ROWS, 40):
            at = ORDER[start : start + 40]
            plain.train_step(wide[at], LABELS[at], optimizer=name, **options)
    pairs = zip(plain.weights, plain.biases, strict=True)
    wanted = np.concatenate([array.ravel() for pair in pairs for array in pair])
    np.testing.assert_allclose(model.parameters, wanted, rtol=0, atol=tolerance)
    assert optimizer.memory_of(model.parameters).steps == plain.steps == 200


def gradients(steps: int = 200) -> Any:
    """Yield the gradients (30,) of steps: noise around a mean, some of the elements far smaller than others."""
    rng = np.random.default_rng(7)
    for _ in range(steps):
        yield (rng.standard_normal(30) + 0.3) * np.logspace(-4, 1, 30)


def steps_of(optimizer: Optimizer, w: np.ndarray) -> np.ndarray:
    for g in gradients():
        optimizer.step(w, g, [(slice(0, w.size), True)])
    return w


@pytest.mark.parametrize("clip_norm", [0.0, 2.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pytorch_takes_the_same_steps(name, clip_norm):
    torch = pytest.importorskip("torch")
    optimizer, begin = made(name, clip_norm=clip_norm), np.linspace(-1, 1, 30)
    w = torch.tensor(begin.copy(), requires_grad=True)
    settings = {setting: getattr(optimizer, setting) for setting in optimizer.SETTINGS}
    theirs = optimizer.torch(torch.optim, [{"params": [w], "weight_decay": optimizer.weight_decay}], settings)
    for g in gradients():
        w.grad = torch.tensor(g)
        if clip_norm:
            torch.nn.utils.clip_grad_norm_([w], clip_norm)
        theirs.step()
    # roundings of 200 steps, each of numbers of up to about ten
    np.testing.assert_allclose(steps_of(optimizer, begin.copy()), w.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_scikit_learn_takes_the_same_steps(name):
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    optimizer = made(name, weight_decay=0.0, **({"eps_hat": True} if name == "adam" else {}))
    w, begin = [np.linspace(-1, 1, 30)], np.linspace(-1, 1, 30)
    if name == "adam":
        theirs = module.AdamOptimizer(w, optimizer.lr)
    else:
        theirs = module.SGDOptimizer(w, optimizer.lr, momentum=0.9, nesterov=name == "nesterov")
    for g in gradients():
        theirs.update_params(w, [g])
    np.testing.assert_allclose(steps_of(optimizer, begin), w[0], rtol=0, atol=1e-12)


def test_the_two_places_of_eps_differ():
    paths = [steps_of(Adam(0.01, eps=0.1, eps_hat=hat), np.zeros(30)) for hat in (False, True)]
    assert np.abs(paths[0] - paths[1]).max() > 1e-3


@pytest.mark.parametrize(("options", "batch"), [
    ({}, 40),  # widths that are no whole tiles: the step follows the product
    ({"sizes": (64, 128, 5)}, 16),  # whole tiles and few rows: the step takes the gradient from the registers
    ({"sizes": (64, 128, 5), "precision": "bfloat16"}, 16),
])  # fmt: skip
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_norm_that_no_gradient_reaches_changes_no_bit(name, options, batch):
    """So the gradient that is stored first is the one that the fused step takes."""
    if options.get("precision") == "bfloat16" and name != "sgd":
        pytest.skip("compiles for half a minute what differs in nothing but the formula")
    np.testing.assert_array_equal(
        trained(made(name, clip_norm=1e6), batch=batch, **options), trained(made(name), batch=batch, **options)
    )


def test_gradients_of_bytes_are_clipped_too():
    pixels = np.random.default_rng(3).integers(0, 256, (ROWS, SIZES[0]), np.uint8)
    images = ImageInput(pixels, *(a.astype(np.float32) for a in reference.image_moments(pixels, 3)))
    weights = []
    for clip_norm in (0.0, 1e6, 1e-3):
        model = network("int8")
        before = model.parameters.copy()
        model.train_epoch(images, LABELS, SGD(1.0, 0.0, clip_norm=clip_norm), ORDER, ROWS)
        weights.append(model.parameters - before)
    np.testing.assert_array_equal(weights[0], weights[1])
    # a step at the rate 1 without momentum is the gradient; it is taken from weights, whose roundings show
    assert np.linalg.norm(weights[2]) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("clip_norm", [0.0, 0.1])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_one_thread_and_two_give_the_same_bits(name, clip_norm):
    ways = [{"sizes": (300, 64, 5), "batch": ROWS, "threads": threads} for threads in (1, 2)]
    one, two = (trained(made(name, clip_norm=clip_norm), **way) for way in ways)
    np.testing.assert_array_equal(one, two)


def test_a_gradient_that_is_not_finite_stays_so_where_it_is_clipped():
    """As in PyTorch: no weight is then left that could pass for a trained one."""
    w = np.ones(4)
    SGD(clip_norm=1.0).step(w, np.array([1.0, np.nan, 2.0, 3.0]), [(slice(0, 4), True)])
    assert np.isnan(w).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_copy_goes_on_with_the_number_of_its_steps(matmul, copied):
    model, optimizer = network(matmul=matmul), Adam(0.01)
    x = X.astype(np.float32)
    model.train_epoch(x, LABELS, optimizer, ORDER, 40)
    both = copied((model, optimizer))
    for one, own in ((model, optimizer), both):
        one.train_epoch(x, LABELS, own, ORDER, 40)
        assert own.memory_of(one.parameters).steps == 10
    np.testing.assert_array_equal(both[0].parameters, model.parameters)


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_run_that_is_resumed_from_a_file_has_the_same_bits(matmul, tmp_path):
    options: dict[str, Any] = {"epochs": 6, "batch_size": 64}
    x, whole = X.astype(np.float32), network(matmul=matmul)
    fit(whole, x, LABELS, optimizer=AdamW(0.01), **options)
    paused = fit(
        network(matmul=matmul), x, LABELS, optimizer=AdamW(0.01), pause=lambda s: len(s.history.train_loss) == 3,
        **options,
    )  # fmt: skip
    assert paused.state.steps == 3 * 4
    checkpoint.save(tmp_path / "run.npz", "run", paused.state)
    state = checkpoint.load(tmp_path / "run.npz", "run")
    model = network(matmul=matmul)
    fit(model, x, LABELS, optimizer=AdamW(0.01), resume=state, **options)
    np.testing.assert_array_equal(model.parameters, whole.parameters)


def test_a_fit_begins_with_the_first_step():
    model, optimizer = network(), Adam(0.01)
    x = X.astype(np.float32)
    first = fit(model, x, LABELS, optimizer=optimizer, epochs=2, batch_size=50)
    again = network()
    fit(again, x, LABELS, optimizer=optimizer, epochs=1)
    fit(again, x, LABELS, optimizer=optimizer, epochs=2, batch_size=50, start=network().parameters)
    np.testing.assert_array_equal(again.parameters, model.parameters)
    assert first.state.steps == optimizer.memory_of(model.parameters).steps == 8


def test_nesterov_without_momentum_is_sgd():
    bits = [trained(kind(0.05, 0.0)) for kind in (SGD, Nesterov)]
    np.testing.assert_allclose(bits[0], bits[1], rtol=0, atol=1e-7)
