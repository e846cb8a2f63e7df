"""How far each kernel's float32 results lie from the right ones, in ULP: the most and the median."""

from collections.abc import Iterator, Sequence

import numpy as np

from bench.cases import make_case
from bench.kernels_scalars import ulps
from bench.readme import markdown
from fastmlp_kernels.activations import CODES

SHAPE = (1024, 128)


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
    "layer_norm_backward": ("delta", "dgain: column sums", "dbias: column sums"),
    "image_moments": ("mean", "inv_std"),
}


def accuracy_table(names: Sequence[str]) -> str:
    """Return the table of each result of each kernel."""
    lines = []
    sample = " x ".join(map(str, SHAPE)) + ", normal"
    for name in names:
        for result, apart in zip(RESULTS.get(name, ("",)), of_case(name), strict=True):
            data = sample if name not in ("image_moments", "gather_normalize") else sample.replace("normal", "uint8")
            lines.append([f"`{name}`", result, data, *_most_and_median(apart)])
    return markdown(["kernel", "result", "inputs", "largest", "median"], lines)


def _most_and_median(apart: np.ndarray) -> tuple[str, str]:
    return f"{apart.max():.3g}", f"{np.median(apart):.2g}"
