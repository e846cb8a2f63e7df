"""Write the tables of kernels/README.md: accuracy, speed beside numpy and SciPy, and when compilation has paid.

    python -m bench.kernels_page [--page kernels/README.md]       (without --page they are printed)

One thread, float32. Rivals take turns, medians are shown; buffers that a call overwrites get their first values back
outside the time that counts. Take a quiet machine, and leave FASTMLP_NUMBA_CACHE unset: compiling is measured too.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import fastmlp_kernels as fk
from bench.cases import CASES, make_case
from bench.measured import in_units
from bench.readme import markdown, write_block
from fastmlp.environment import cpu_model
from fastmlp.threads import blas_threads

SHAPE, TURNS, CALLS = (1024, 128), 15, 5
FINITE = 0x7F800000  # bit patterns of finite positive float32
STRIDE = 509  # a prime: each exponent and many mantissas, 8.4 million values of both signs
Call = Callable[[], object]


def _ulps(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how many float32 lie from each result to the float64 one, rounded."""
    a, b = (np.ascontiguousarray(x, np.float32).view(np.int32).astype(np.int64) for x in (got, wanted))
    return np.abs(np.where(a < 0, -(a & 0x7FFFFFFF), a) - np.where(b < 0, -(b & 0x7FFFFFFF), b))


def _all_floats() -> np.ndarray:
    bits = np.arange(0, FINITE, STRIDE, dtype=np.uint32)
    return np.concatenate([bits, bits | np.uint32(1 << 31)]).view(np.float32)


def _elementwise(function: Callable[[np.ndarray, np.ndarray], None], truth: Callable[[Any], Any]) -> np.ndarray:
    x = _all_floats().reshape(-1, 1)
    z = x.copy()
    function(z, np.zeros(1, np.float32))
    with np.errstate(all="ignore"):
        return _ulps(z, truth(x.astype(np.float64)))


def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Return rows of random numbers, of several spreads, and the same in float64."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((4096, 128)) * 10.0 ** rng.uniform(-2, 1, (4096, 1))).astype(np.float32)
    return x, x.astype(np.float64)


def _log_sum(x: np.ndarray) -> np.ndarray:
    """Return log(sum(exp(x))) in float64, without loss where one element dominates."""
    top = x.max(axis=1, keepdims=True)
    e = np.sort(np.exp(x - top), axis=1)[:, :-1]
    return top + np.log1p(e.sum(axis=1, keepdims=True))


def _big_sum() -> np.ndarray:
    x = np.random.default_rng(0).random((4, 1 << 22), np.float32)
    return _ulps(fk.accurate_sum(x, -1), x.sum(axis=1, dtype=np.float64))  # pyright: ignore[reportArgumentType]


def accuracy() -> str:
    """Return the table of distances from the correctly rounded value."""
    x, wide = _rows()
    soft = np.exp(wide - _log_sum(wide))
    mine, zeros = x.copy(), np.zeros(x.shape[1], np.float32)
    fk.bias_softmax(mine, zeros)
    places = f"{2 * len(range(0, FINITE, STRIDE)):,} float32 of all magnitudes"
    rows = "4,096 rows of 128, of spreads from 0.01 to 10"
    found = {
        "bias_tanh": (_elementwise(fk.bias_tanh, np.tanh), places),
        "bias_sigmoid": (_elementwise(fk.bias_sigmoid, lambda z: 1 / (1 + np.exp(-z))), places),
        "bias_softmax": (_ulps(mine, soft), rows),
        "softmax": (_ulps(fk.softmax(x), soft), rows),
        "log_softmax": (_ulps(fk.log_softmax(x), wide - _log_sum(wide)), rows),
        "logsumexp": (_ulps(fk.logsumexp(x), _log_sum(wide)[:, 0]), rows),
        "accurate_sum": (_big_sum(), "4 rows of 4,194,304"),
    }
    header = ["kernel", "over", "most", "median"]
    lines = [[f"`{name}`", over, f"{d.max():,}", f"{median(d.ravel()):g}"] for name, (d, over) in found.items()]
    return "Distance from the float64 result rounded to float32, in ULP:\n\n" + markdown(header, lines)


def _nothing() -> None:
    pass


def _array_calls() -> dict[str, dict[str, Call]]:
    """Return the kernels that have no case in `bench.cases`, beside numpy's own words and SciPy's."""
    x = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    out, shifted, row = np.empty_like(x), np.empty_like(x), np.empty((SHAPE[0], 1), np.float32)

    def exponentials() -> None:
        np.subtract(x, np.max(x, axis=1, keepdims=True, out=row), out=shifted)
        np.exp(shifted, out=out)

    def softmax() -> None:
        exponentials()
        np.divide(out, np.sum(out, axis=1, keepdims=True), out=out)

    def log_softmax() -> None:
        exponentials()
        np.subtract(shifted, np.log(np.sum(out, axis=1, keepdims=True)), out=out)

    def logsumexp() -> None:
        exponentials()
        np.add(np.log(np.sum(out, axis=1, keepdims=True)), row, out=row)

    sums = np.empty(SHAPE[0], np.float32)
    calls: dict[str, dict[str, Call]] = {
        "softmax": {"fastmlp": lambda: fk.softmax(x, out), "numpy": softmax},
        "log_softmax": {"fastmlp": lambda: fk.log_softmax(x, out), "numpy": log_softmax},
        "logsumexp": {"fastmlp": lambda: fk.logsumexp(x, sums), "numpy": logsumexp},
        "accurate_sum": {
            "fastmlp": lambda: fk.accurate_sum(x),
            "numpy": lambda: x.sum(dtype=np.float64),
        },
        "accurate_mean": {
            "fastmlp": lambda: fk.accurate_mean(x),
            "numpy": lambda: x.mean(dtype=np.float64),
        },
    }
    try:
        from scipy import special
    except ImportError:
        return calls
    for function in (special.softmax, special.log_softmax, special.logsumexp):
        calls[function.__name__]["scipy"] = partial(function, x, axis=1)
    return calls


def _median_seconds(calls: dict[str, Call], restore: Call) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + TURNS):
        for name, call in calls.items():
            for _ in range(CALLS):
                restore()
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values[CALLS:]) for name, values in seconds.items()}


def _beside(seconds: dict[str, float], rival: str) -> str:
    return f"{in_units(seconds[rival])} ({seconds[rival] / seconds['fastmlp']:.2f}x)" if rival in seconds else "-"


def speed(compiled: dict[str, float], console: Console) -> str:
    """Return the table of times; compiled : seconds that each kernel's first call took."""
    cases = {name: make_case(name, SHAPE) for name in CASES}
    every = {name: (case.calls, case.restore) for name, case in cases.items()}
    every |= {name: (calls, _nothing) for name, calls in _array_calls().items()}
    lines = []
    for name, (calls, restore) in track(every.items(), "Kernels", console=console):
        renamed = {{"numpy": "plain", "numpy_inplace": "numpy"}.get(n, n): c for n, c in calls.items()}
        if name in cases:
            renamed.pop("plain")  # in float64
        seconds = _median_seconds(renamed, restore)
        seconds["numpy"] = seconds.get("numpy", seconds.get("plain", 0.0))
        saved = min(seconds[rival] for rival in ("numpy", "numpy_tuned") if rival in seconds) - seconds["fastmlp"]
        pays = f"{compiled[name] / saved:,.0f}" if saved > 0 else "never"
        rivals = [_beside(seconds, rival) for rival in ("numpy", "numpy_tuned", "scipy")]
        lines.append([f"`{name}`", in_units(seconds["fastmlp"]), *rivals, in_units(compiled[name]), pays])
    header = ["kernel", "fastmlp", "numpy", "tuned numpy", "SciPy", "first call", "calls until it has paid"]
    return (
        f"{cpu_model()}, one thread, float32, {SHAPE[0]} x {SHAPE[1]}, numpy {version('numpy')}. numpy writes to "
        "arrays that are there, and so does tuned numpy, another form of the same. First call: with its compilation, after "
        "those above it in `warmup()`; it has paid once the calls saved as much beside the faster numpy.\n\n"
        + markdown(header, lines)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the tables; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kernels_page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, help="the file with the markers; without it the tables are printed")
    args = parser.parse_args(argv)
    compiled = fk.warmup()
    with blas_threads(1):
        blocks = {"speed": speed(compiled, Console(stderr=True)), "accuracy": accuracy()}
    for name, block in blocks.items():
        if args.page is None:
            print(block, end="\n\n")
        else:
            write_block(args.page, name, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
