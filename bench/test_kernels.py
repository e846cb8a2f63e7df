"""Every kernel, on one thread, against in-place and tuned numpy, scipy, PyTorch (float32) and the float64 reference.

All take turns within a run, so that a slow moment of the machine meets all of them. Buffers that a call
overwrites get their first values back before the next one, outside the time that counts. Of tiny arrays a round is many
calls in one go, as clock and loop would take as long as one. A short run measures one large shape, and the tiny ones.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from bench.cases import CASES, SHAPES, Case, make_case
from bench.peer_kernels import torch_call
from fastmlp.nn.threads import blas_info, blas_threads

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

TURNS = 3
SECONDS = 0.05  # of work in one turn
AS_TESTS = {"shape": [min(SHAPES, key=math.prod)]}
IMPLS = ("fastmlp", "numpy_inplace", "numpy_tuned", "scipy", "torch", "numpy")
PRECISIONS = {impl: "float64" if impl == "numpy" else "float32" for impl in IMPLS}
LACKING = {
    "numpy_tuned": "no numpy form is faster than the in-place one",
    "scipy": "scipy has no such function, or is not installed",
    "torch": "PyTorch has no such function of given memory, or is not installed",
}
# What calls cost shows in tiny arrays, and what an axis costs in short rows.
TINY = {
    "softmax": ((64, 100), (8, 10)),
    "bias_tanh": ((8, 10),),
    **dict.fromkeys(("log_softmax", "logsumexp"), ((1024, 2), (1024, 8), (1024, 32))),
}
TINY_SIZE, TIMES = 64 * 100, 50


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Give one kernel at one shape: made once for all turns, compiled and warm, and checked against the reference."""
    name, shape = request.param
    case = make_case(name, shape)
    if theirs := torch_call(name, shape, case):
        case.calls["torch"] = theirs
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


def _cases() -> Iterator[Any]:
    for name in CASES:
        for shape in (*SHAPES, *TINY.get(name, ())):
            marks = pytest.mark.full if shape in SHAPES[1:] else ()
            yield pytest.param((name, shape), name, shape, id=f"{name}-{shape[0]}x{shape[1]}", marks=marks)


def _times(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def _rounds(case: Case, call: Callable[[], Any]) -> int:
    """Return how many calls fill a turn, after the warm-up calls that tell."""
    seconds = []
    for _ in range(3):
        case.restore()
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return int(np.clip(SECONDS / min(seconds), 7, 1000))


@pytest.mark.parametrize("impl", [*IMPLS[:-1], pytest.param("numpy", marks=pytest.mark.full)])
@pytest.mark.parametrize("turn", range(TURNS))
@pytest.mark.parametrize(("case", "name", "shape"), list(_cases()), indirect=["case"])
def test_kernel(benchmark, case, name, shape, turn, impl):
    if impl not in case.calls:
        pytest.skip(LACKING[impl])
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
    times = TIMES if math.prod(shape) <= TINY_SIZE else 1
    call = partial(_times, case.calls[impl], times) if times > 1 else case.calls[impl]
    rounds = _rounds(case, call) if benchmark.enabled else 1
    benchmark.pedantic(call, setup=case.restore, rounds=rounds, iterations=1)
    if benchmark.enabled:
        seconds = benchmark.stats.stats.median / times
        benchmark.extra_info |= {"seconds": seconds, "gb_per_s": case.nbytes / seconds / 1e9}
