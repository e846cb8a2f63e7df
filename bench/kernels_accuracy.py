"""How far each kernel's float32 results lie from the right ones, in ULP: the most and the median."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numba import njit

from bench.cases import make_case
from bench.readme import markdown
from fastmlp_kernels import jit
from fastmlp_kernels.activations import CODES

SHAPE = (1024, 128)
STRIDE = 997  # a prime: low and high mantissa bits both vary
ELEMENTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp1": np.exp,
    "expm1_1": np.expm1,
    "log1": np.log,
    "log1p1": np.log1p,
    "tanh1": np.tanh,
    "sigmoid1": lambda x: 1 / (1 + np.exp(-x)),
}


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Return |got - want| in steps of float32 at `want`, for finite values."""
    return np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)


def over_all_floats(name: str, stride: int = STRIDE) -> np.ndarray:
    """Return the ULP of an element's function at every so many of all float32, where its right value is finite."""
    function = getattr(jit, name)

    @njit(error_model="numpy", fastmath={"contract"})  # as the kernels are compiled
    def loop(x: np.ndarray, out: np.ndarray) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    x = np.arange(0, 2**32, stride, dtype=np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    out = np.empty_like(x)
    loop(x, out)
    with np.errstate(all="ignore"):
        want = ELEMENTS[name](x.astype(np.float64))
    with np.errstate(over="ignore"):
        finite = np.isfinite(want.astype(np.float32))
    return ulps(out[finite].astype(np.float64), want[finite])


def of_case(name: str) -> Iterator[np.ndarray]:
    """Yield the ULP of each result of a kernel, on the arrays of its benchmark."""
    case = make_case(name, SHAPE)
    wanted = case.calls["numpy"]()
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    returned = case.calls["fastmlp"]() or ()
    results = (*(np.float64(value) for value in returned), *case.results)
    for got, want in zip(results, wanted[: len(results)], strict=True):
        yield ulps(np.asarray(got, np.float64), np.asarray(want, np.float64))


RESULTS = {
    **dict.fromkeys((f"{name}_backward" for name in CODES), ("delta", "dbias: column sums")),
    **dict.fromkeys(
        ("logistic_loss", "squared_error", "poisson_loss", "huber_loss"),
        ("loss", "correct", "gradient", "dbias: column sums"),
    ),
    **dict.fromkeys(
        ("logistic_loss_eval", "squared_error_eval", "poisson_loss_eval", "huber_loss_eval"), ("loss", "correct")
    ),
    "softmax_cross_entropy": ("loss", "correct", "gradient", "dbias: column sums"),
    "softmax_cross_entropy_eval": ("loss", "correct"),
    **dict.fromkeys(("momentum_step", "nesterov_step"), ("w", "v")),
    **dict.fromkeys(("adam_step", "adamw_step"), ("w", "m", "v")),
    "image_moments": ("mean", "inv_std"),
}


def accuracy_table(names: Sequence[str], stride: int = STRIDE) -> str:
    """Return the table: elements over the range of float32, then each result of each kernel."""
    lines = [
        [f"`jit.{name}`", "", f"every {stride}th of all float32", *_most_and_median(over_all_floats(name, stride))]
        for name in ELEMENTS
    ]
    sample = " x ".join(map(str, SHAPE)) + ", normal"
    for name in names:
        for result, apart in zip(RESULTS.get(name, ("",)), of_case(name), strict=True):
            data = sample if name not in ("image_moments", "gather_normalize") else sample.replace("normal", "uint8")
            lines.append([f"`{name}`", result, data, *_most_and_median(apart)])
    return markdown(["kernel", "result", "inputs", "largest", "median"], lines)


def _most_and_median(apart: np.ndarray) -> tuple[str, str]:
    return f"{apart.max():.3g}", f"{np.median(apart):.2g}"
