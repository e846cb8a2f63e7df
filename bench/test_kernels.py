"""Every kernel, on one thread, against in-place and tuned numpy, scipy (all float32) and the plain float64 reference.

All take turns within a run, so that a slow moment of the machine meets all of them. Buffers that a call
overwrites get their first values back before the next one, outside the time that counts.
"""

import time
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
import pytest

from bench.cases import CASES, SHAPES, Case, make_case
from fastmlp.nn.threads import blas_info, blas_threads

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

TURNS = 3
SECONDS = 0.05  # of work in one turn
PRECISIONS = {"fastmlp": "float32", "numpy_inplace": "float32", "numpy_tuned": "float32", "scipy": "float32"}
PRECISIONS["numpy"] = "float64"


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Give one kernel at one shape: made once for all turns, compiled and warm, and checked against the reference."""
    case = make_case(*request.param)
    with blas_threads(1):
        wanted = case.calls["numpy"]()
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for impl in case.calls.keys() - {"numpy"}:
            case.restore()
            scalars = case.calls[impl]() or ()
            np.testing.assert_allclose(scalars, wanted[: len(scalars)], rtol=1e-4)
            for array, want in zip(case.results, wanted[len(scalars) :], strict=bool(case.results)):
                np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())
        yield case


def _rounds(case: Case, impl: str) -> int:
    """Return how many calls fill a turn, after the warm-up calls that tell."""
    seconds = []
    for _ in range(3):
        case.restore()
        start = time.perf_counter()
        case.calls[impl]()
        seconds.append(time.perf_counter() - start)
    return int(np.clip(SECONDS / min(seconds), 7, 1000))


@pytest.mark.parametrize("impl", PRECISIONS)
@pytest.mark.parametrize("turn", range(TURNS))
@pytest.mark.parametrize(
    ("case", "name", "shape"),
    [
        pytest.param((name, shape), name, shape, id=f"{name}-{shape[0]}x{shape[1]}")
        for name in CASES
        for shape in SHAPES
    ],
    indirect=["case"],
)
def test_kernel(benchmark, case, name, shape, turn, impl):
    if impl not in case.calls:
        pytest.skip(
            "no numpy form is faster than the in-place one" if impl == "numpy_tuned" else "scipy has no such function"
        )
    benchmark.group = name
    benchmark.extra_info |= {
        "impl": impl,
        "shape": list(shape),
        "turn": turn,
        "precision": PRECISIONS[impl],
        "threads": 1,
        "nbytes": case.nbytes,
        "blas_kernels": blas_info()[0].get("architecture") if blas_info() else None,
        "numpy": version("numpy"),
    }
    rounds = _rounds(case, impl) if benchmark.enabled else 1
    benchmark.pedantic(case.calls[impl], setup=case.restore, rounds=rounds, iterations=1)
    if benchmark.enabled:
        benchmark.extra_info["gb_per_s"] = case.nbytes / benchmark.stats.stats.median / 1e9
