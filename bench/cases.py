"""One table of kernels for the benchmarks: what each one is called with, what it is compared with, what it moves.

Every case does the same work several ways: the compiled kernel, careful in-place numpy (`bench.inplace`), tuned numpy
where that is another form (`bench.tuned`), scipy where it has the function, and the plain float64 reference. All but
the last work on the same float32 buffers; `restore` gives these their first values again, outside the time that counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import fastmlp_kernels
from bench import inplace, inplace_elements, tuned
from fastmlp import reference
from fastmlp_kernels.activations import ALONE

SHAPES = ((1024, 128), (1024, 20), (3072, 128), (1024, 3072))
LR, MOMENTUM, WEIGHT_DECAY = 0.005, 0.9, 0.01
RATE = 0.3  # of dropout
STEP, ADAM_LR, BETAS, EPS = 100, 0.001, (0.9, 0.999), 1e-8


@dataclass
class Case:
    """One kernel at one shape: three zero-argument calls, and the buffers that hold the in-place results."""

    calls: dict[str, Callable[[], Any]]
    results: tuple[np.ndarray, ...]  # of all but the reference, in the order in which the reference returns them
    nbytes: int  # that the fused kernel moves: each operand read once, each result written once
    changed: tuple[np.ndarray, ...] = ()  # the buffers that a call overwrites and reads
    first_values: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.first_values = [array.copy() for array in self.changed]

    def restore(self) -> None:
        """Give the overwritten buffers their first values again."""
        for array, first in zip(self.changed, self.first_values, strict=True):
            np.copyto(array, first)


def _calls(
    name: str, arguments: tuple, shape: tuple[int, int], plain: tuple, plain_form: Callable[..., Any] | None = None
) -> dict[str, Callable[[], Any]]:
    fast = getattr(fastmlp_kernels, name)
    careful = getattr(inplace if hasattr(inplace, name) else inplace_elements, name)
    scratch, reference_function = inplace.Scratch(shape), plain_form or getattr(reference, name.removesuffix("_eval"))

    def call() -> tuple | None:
        result = fast(*arguments)
        return result if isinstance(result, tuple) else None  # else it is out

    calls = {
        "fastmlp": call,
        "numpy_inplace": lambda: careful(*arguments, scratch),
        "numpy": lambda: reference_function(*plain),
    }
    if hasattr(tuned, name):
        calls["numpy_tuned"] = lambda: getattr(tuned, name)(*arguments, scratch)
    return calls


def _wide(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays)


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _forward(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    z, bias = _normal(rng, *shape), _normal(rng, shape[1])
    return Case(_calls(name, (z, bias), shape, _wide(z, bias)), (z,), 2 * z.nbytes, changed=(z,))


def _backward(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    delta, dbias = _normal(rng, *shape), np.empty(shape[1], np.float32)
    h = _normal(rng, *shape)
    h = np.maximum(h, 0) if name in ("relu_backward", "softplus_backward") else np.tanh(h)
    moved = (1 if name == "identity_backward" else 3) * delta.nbytes  # the identity's delta stays as it is
    calls = _calls(name, (delta, h, dbias), shape, _wide(delta, h))
    return Case(calls, (delta, dbias), moved, changed=(delta,))


def _loss(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    logits, bias = _normal(rng, *shape), _normal(rng, shape[1])
    labels, dbias = rng.integers(0, shape[1], shape[0]), np.empty(shape[1], np.float32)
    plain = _wide(logits, bias, labels)
    if name.endswith("_eval"):
        return Case(_calls(name, (logits, bias, labels), shape, plain), (), logits.nbytes)
    calls = _calls(name, (logits, bias, labels, dbias), shape, plain)
    return Case(calls, (logits, dbias), 2 * logits.nbytes, changed=(logits,))


def _targets(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    z, bias, targets = _normal(rng, *shape), _normal(rng, shape[1]), rng.random(shape, dtype=np.float32)
    dbias, plain = np.empty(shape[1], np.float32), _wide(z, bias, targets)
    if name.endswith("_eval"):
        return Case(_calls(name, (z, bias, targets), shape, plain), (), 2 * z.nbytes)
    return Case(_calls(name, (z, bias, targets, dbias), shape, plain), (z, dbias), 3 * z.nbytes, changed=(z,))


def _update(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    w, v, g = (_normal(rng, *shape) for _ in range(3))
    settings = LR, MOMENTUM, WEIGHT_DECAY
    calls = _calls(name, (w, v, g, *settings), shape, (*_wide(w, v, g), *settings))
    return Case(calls, (w, v), 5 * w.nbytes, changed=(w, v))


def _adam(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    w, g, state = _normal(rng, *shape), _normal(rng, *shape), np.square(_normal(rng, 2, *shape))
    settings = STEP, ADAM_LR, *BETAS, EPS, WEIGHT_DECAY
    calls = _calls(name, (w, state, g, *settings), shape, (*_wide(w, *state, g), *settings))
    return Case(calls, (w, *state), 7 * w.nbytes, changed=(w, state))


def _moments(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    mean, inv_std = np.empty((2, shape[0], 1), np.float32)
    return Case(_calls(name, (images, 1, mean, inv_std), shape, (images, 1)), (mean, inv_std), images.nbytes)


def _gather(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    images = rng.integers(0, 256, (8 * shape[0], shape[1]), dtype=np.uint8)  # a batch out of a larger set
    mean, inv_std = (a.astype(np.float32) for a in reference.image_moments(images, 1))
    index, out = rng.permutation(len(images))[: shape[0]], np.empty(shape, np.float32)
    calls = _calls(name, (images, index, mean, inv_std, out), shape, (images, index, *_wide(mean, inv_std)))
    return Case(calls, (out,), out.size + out.nbytes)


def _special(name: str) -> Callable[..., np.ndarray] | None:
    try:
        from scipy import special
    except ImportError:  # comes with the extra `peers`, as scikit-learn's
        return None
    return getattr(special, name, None)


def _filling(name: str, x: np.ndarray, out: np.ndarray, axis: tuple[int, ...], plain: Callable[..., Any]) -> Case:
    """Return the case of a kernel whose result is out: by name in all modules, but for its plain form."""
    fast, scratch = getattr(fastmlp_kernels, name), inplace.Scratch((x.shape[0], x.shape[1]))
    (wide,) = _wide(x)

    def call() -> None:  # what it returns is out
        fast(x, *axis, out)

    calls = {"fastmlp": call, "numpy": lambda: plain(wide, *axis)}
    rivals = ("numpy_inplace", inplace), ("numpy_inplace", inplace_elements), ("numpy_tuned", tuned)
    for rival, module in rivals:
        if form := getattr(module, name, None):
            calls[rival] = partial(form, x, out, scratch)
    return Case(calls, (out,), x.nbytes + out.nbytes)


def _last_axis(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    x = _normal(rng, *shape)
    out = np.empty_like(x) if name.endswith("softmax") else np.empty(shape[0], np.float32)
    case = _filling(name, x, out, (-1,) if name.startswith("accurate_") else (), getattr(reference, name))
    if function := _special(name):
        # the copy is so that its result is checked with the others'; it takes a hundredth of the time
        case.calls["scipy"] = lambda: np.copyto(out, function(x, axis=-1))
    return case


def _activation(name: str, x: np.ndarray) -> np.ndarray:
    return getattr(reference, f"bias_{name}")(x, np.zeros(1))


# Of each element: the plain form, and scipy's name where it has one.
ELEMENTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    **{name: (getattr(np, name), "") for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p")},
    **{name: (getattr(np, name), "") for name in ("sin", "cos", "tanh")},
    "rsqrt": (lambda x: 1 / np.sqrt(x), ""),
    "sigmoid": (partial(_activation, "sigmoid"), "expit"),
    "log_sigmoid": (lambda x: -reference.softplus(-x), "log_expit"),
    "logit": (lambda x: np.log(x) - np.log1p(-x), "logit"),
    "softplus": (reference.softplus, ""),
    "erf": (np.vectorize(math.erf), "erf"),
    "erfc": (np.vectorize(math.erfc), "erfc"),
    **{name: (partial(_activation, name), "") for name in ("relu", "leaky_relu", "elu", "silu", "gelu")},
}
POSITIVE = ("log", "log2", "log10", "log1p", "rsqrt")


def _elements(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    x, out = _normal(rng, *shape), np.empty(shape, np.float32)
    if name == "logit":
        np.clip(np.abs(x) / 5, 0.001, 0.999, out=x)
    elif name in POSITIVE:
        np.abs(x, out=x)
    plain, theirs = ELEMENTS[name]
    case = _filling(name, x, out, (), plain)
    if function := _special(theirs):

        def call() -> None:
            function(x, out=out)

        case.calls["scipy"] = call
    return case


def _powers(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    x, y, out = np.abs(_normal(rng, *shape)), _normal(rng, *shape), np.empty(shape, np.float32)
    calls = _calls(name, (x, y, out), shape, _wide(x, y), np.power)
    return Case(calls, (out,), x.nbytes + y.nbytes + out.nbytes)


def _layer_norm(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    x, gain, bias = _normal(rng, *shape), _normal(rng, shape[1]), _normal(rng, shape[1])
    out, (mean, inv_std) = np.empty_like(x), np.empty((2, shape[0]), np.float32)
    forward = (x, gain, bias, out, mean, inv_std)
    if name == "layer_norm":
        return Case(_calls(name, forward, shape, _wide(x, gain, bias)), (out,), 2 * x.nbytes)
    fastmlp_kernels.layer_norm(*forward)
    delta, (dgain, dbias) = _normal(rng, *shape), np.empty((2, shape[1]), np.float32)
    calls = _calls(name, (delta, x, gain, mean, inv_std, dgain, dbias), shape, _wide(delta, x, gain))
    return Case(calls, (delta, dgain, dbias), 3 * x.nbytes, changed=(delta,))


def _dropout(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Case:
    x, numbers = _normal(rng, *shape), (RATE, 1, 2, 3, 0)
    out = reference.dropout(x, *numbers).astype(np.float32)  # numpy's bits are others, and its result goes elsewhere
    calls = _calls(name, (x, *numbers, out), shape, (*_wide(x), *numbers))
    return Case(calls, (out,), 2 * x.nbytes)


CASES: dict[str, Callable[[str, tuple[int, int], np.random.Generator], Case]] = {
    **{f"bias_{name}": _forward for name in ALONE},
    **{f"{name}_backward": _backward for name in ALONE},
    "softmax_cross_entropy": _loss,
    "softmax_cross_entropy_eval": _loss,
    **{f"{name}_loss{form}": _targets for name in ("logistic", "poisson", "huber") for form in ("", "_eval")},
    **dict.fromkeys(("squared_error", "squared_error_eval"), _targets),
    "bias_softmax": _forward,
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp", "accurate_sum", "accurate_mean"), _last_axis),
    **dict.fromkeys(ELEMENTS, _elements),
    "pow": _powers,
    **dict.fromkeys(("layer_norm", "layer_norm_backward"), _layer_norm),
    "dropout": _dropout,
    **dict.fromkeys(("momentum_step", "nesterov_step"), _update),
    **dict.fromkeys(("adam_step", "adamw_step"), _adam),
    "image_moments": _moments,
    "gather_normalize": _gather,
}


def make_case(name: str, shape: tuple[int, int]) -> Case:
    """Make the buffers of one kernel at one shape, always the same ones."""
    return CASES[name](name, shape, np.random.default_rng(1))
