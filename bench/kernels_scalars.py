"""Accuracy, speed and cold start of the functions of one element in `fastmlp_kernels.jit`, in loops over arrays."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import mp, mpf
from numba import njit

from bench.readme import markdown
from bench.scalars import BETWEEN, ELEMENTARY, POSITIVE, SCALARS, Scalar
from fastmlp_kernels import jit

ALL = ELEMENTARY | SCALARS
STRIDE = 997  # a prime: low and high mantissa bits both vary
EXACT = 4000  # arguments of float64 that mpmath works out, of each kind
ELEMENTS = 4096  # of a loop that is timed: 16 or 32 KiB, in cache
SECONDS = 0.05  # of calls whose least counts
DTYPES = (np.float32, np.float64)
# Of what is timed: arguments are uniform between these.
RANGES = dict.fromkeys(ALL, (-6.0, 6.0)) | dict.fromkeys(POSITIVE, (1e-3, 1e3)) | dict.fromkeys(BETWEEN, (0.01, 0.99))
RANGES |= {"exp2_1": (-20.0, 20.0), "exp1": (-20.0, 20.0), "sin1": (-100.0, 100.0), "cos1": (-100.0, 100.0)}


def loop_of(function1: Any, *, two: bool = False) -> Callable[..., None]:
    """Return a compiled loop over one function of an element, or of two: loop(out, x) or loop(out, x, y)."""
    # as the kernels are compiled
    if two:

        @njit(error_model="numpy", fastmath={"contract"})
        def loop_over_two(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
            for i in range(x.size):
                out[i] = function1(x[i], y[i])

        return loop_over_two

    @njit(error_model="numpy", fastmath={"contract"})
    def loop(out: np.ndarray, x: np.ndarray) -> None:
        for i in range(x.size):
            out[i] = function1(x[i])

    return loop


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Return |got - want| in steps of float32 at `want`, for finite values."""
    with np.errstate(over="ignore"):
        return np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)


def over_all_floats(name: str, stride: int = STRIDE) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return the ULP of a function at every so many of all float32, where its right value is finite, and the places.

    The exponents of `pow1` are random, so that most of its values are finite.
    """
    x: Any = (np.arange(0, 2**32, stride, dtype=np.uint32).view(np.float32),)
    if name == "pow1":
        base = np.abs(x[0])
        with np.errstate(all="ignore"):
            y = np.random.default_rng(1).uniform(-149, 128, base.size) / np.log2(base.astype(np.float64))
            x = (base, y.astype(np.float32))
    out = np.empty_like(x[0])
    loop_of(getattr(jit, name), two=name == "pow1")(out, *x)
    with np.errstate(all="ignore"):
        want = ALL[name].plain(*(one.astype(np.float64) for one in x))
        finite = np.isfinite(want.astype(np.float32))
    return ulps(out[finite].astype(np.float64), want[finite]), tuple(one[finite] for one in x)


def arguments64(name: str, count: int = EXACT) -> tuple[np.ndarray, ...]:
    """Return float64 arguments of all exponents that matter, and more of those that are usual."""
    rng = np.random.default_rng(2)
    small = np.ldexp(rng.uniform(-1, 1, count), rng.integers(-60, 4, count))
    wide = np.ldexp(rng.uniform(-1, 1, count), rng.integers(-1074, 1024, count))
    x = np.concatenate([small, 1 + small, rng.uniform(-40, 40, count), rng.uniform(-3, 3, count)])
    if name in BETWEEN:
        x = np.concatenate([0.5 + small / 32, rng.uniform(0, 1, 2 * count), np.abs(wide)])
        x = x[(x > 0) & (x < 1)]
    elif name in POSITIVE:
        x = np.abs(np.concatenate([x, wide, rng.uniform(0.5, 2, count)]))
    elif name in ("sin1", "cos1"):
        x = np.concatenate([x, wide])
    else:
        x = np.concatenate([x, rng.uniform(-745, 709, count), wide[np.abs(wide) < 700]])
    x = x[(x != 0) & (x != 1)]
    return (x, rng.uniform(-1074, 1023, x.size) / np.log2(x)) if name == "pow1" else (x,)


def exact_ulps(name: str, count: int = EXACT) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return the ULP of a function of float64 against 50 digits, where its right value is finite, and the places."""
    x = arguments64(name, count)
    out = np.empty_like(x[0])
    loop_of(getattr(jit, name), two=name == "pow1")(out, *x)
    apart = np.zeros(out.size)
    with mp.workdps(50):
        for i, values in enumerate(zip(out.tolist(), *(one.tolist() for one in x), strict=True)):
            want = ALL[name].exact(*map(mpf, values[1:]))
            step = float(np.spacing(abs(float(want))))
            if np.isfinite(step):
                apart[i] = float(abs(mpf(values[0]) - want) / mpf(step))
    return apart, x


def _most(apart: np.ndarray, places: Sequence[np.ndarray]) -> list[str]:
    worst = int(apart.argmax())
    return [f"{apart[worst]:.3g}", ", ".join(f"{one[worst]:.9g}" for one in places)]


def accuracy_table(names: Sequence[str] = tuple(ALL), stride: int = STRIDE, count: int = EXACT) -> str:
    """Return the table of the largest distances, and where they are."""
    lines = [[f"`jit.{n}`", *_most(*over_all_floats(n, stride)), *_most(*exact_ulps(n, count))] for n in names]
    return markdown(["function", "float32: most ULP", "at", "float64: most ULP", "at"], lines)


def _least(call: Callable[[], object], seconds: float) -> float:
    """Return the least of the seconds that calls take, among those that fill this time."""
    call()
    end, least = time.perf_counter() + seconds, float("inf")
    while (start := time.perf_counter()) < end:
        call()
        least = min(least, time.perf_counter() - start)
    return least


def _inputs(name: str, dtype: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    x = [rng.uniform(*RANGES[name], ELEMENTS).astype(dtype)]
    return [*x, rng.uniform(-3, 3, ELEMENTS).astype(dtype)] if name == "pow1" else x


def times(name: str, dtype: Any, seconds: float = SECONDS) -> dict[str, float]:
    """Return the seconds that a function takes over the array, those of its rivals, and what its loop takes at first.

    That first call compiles the loop in a process that has compiled others.
    """
    scalar: Scalar = ALL[name]
    x, two = _inputs(name, dtype), name == "pow1"
    out = np.empty_like(x[0])
    ours, libm = loop_of(getattr(jit, name), two=two), loop_of(njit(scalar.libm), two=two)
    start = time.perf_counter()
    ours(out, *x)
    taken = {"first": time.perf_counter() - start, "ours": _least(lambda: ours(out, *x), seconds)}
    taken["libm"] = _least(lambda: libm(out, *x), seconds)
    if (of_numpy := scalar.numpy) is not None:
        taken["numpy"] = _least(lambda: of_numpy(*x, out), seconds)
    return taken


def speed_table(names: Sequence[str] = tuple(ALL), seconds: float = SECONDS) -> str:
    """Return the table of nanoseconds an element, beside those of the rivals, and of the first call."""
    loop_of(jit.exp1)(np.empty(1, np.float32), np.ones(1, np.float32))  # numba itself has come up
    lines = []
    for name in names:
        cells, first = [], []
        for dtype in DTYPES:
            taken = times(name, dtype, seconds)
            each = {way: 1e9 * taken[way] / ELEMENTS for way in taken}
            cells.append(f"{each['ours']:.2f}")
            cells.append(f"{each['numpy']:.2f} ({each['numpy'] / each['ours']:.2f}x)" if "numpy" in each else "-")
            cells.append(f"{each['libm']:.2f} ({each['libm'] / each['ours']:.1f}x)")
            first.append(f"{taken['first']:.2f}")
        lines.append([f"`jit.{name}`", *cells, " / ".join(first) + " s"])
    heads = [f"{np.dtype(d).name}{way}" for d in DTYPES for way in (": ns", ", numpy", ", math.*")]
    return markdown(["function", *heads, "first call"], lines)
