"""Accuracy, speed and cold start of the functions of one element in `fastmlp_kernels.jit`, in loops over arrays."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit

from bench.readme import markdown
from bench.scalars import BETWEEN, ELEMENTARY, NEAR_ZERO, POSITIVE, SCALARS, ZEROS, Scalar
from bench.vector_libraries import LIBRARIES, loop_of_library
from bench.wide import HAS_EXTENDED, ulps_of
from fastmlp_kernels import jit

ALL = ELEMENTARY | SCALARS
STRIDE = 997  # a prime: low and high mantissa bits both vary
SAMPLE = 1_000_000  # arguments of float64
# Where formulas of float64 change: of size, of exponent, of integer in a reduction.
BREAKS = [
    2.0**-54,
    2.0**-28,
    0.5,
    0.625,
    0.6931,
    0.7072,
    1.0,
    1.2160,
    1.3410,
    1.4142,
    20.0,
    27.3,
    36.75,
    38.7,
    42.0,
    708.4,
]
ELEMENTS = 4096  # of a loop that is timed: 16 or 32 KiB, in cache
SECONDS = 0.05  # of calls whose least counts
DTYPES = (np.float32, np.float64)
# Of what is timed: arguments are uniform between these.
RANGES = dict.fromkeys(ALL, (-6.0, 6.0)) | dict.fromkeys(POSITIVE, (1e-3, 1e3)) | dict.fromkeys(BETWEEN, (0.01, 0.99))
RANGES |= {"exp2_1": (-20.0, 20.0), "exp1": (-20.0, 20.0), "sin1": (-100.0, 100.0), "cos1": (-100.0, 100.0)}


def loop_of(function1: Any, *, two: bool = False, widest: bool = False) -> Callable[..., None]:
    """Return a compiled loop over one function of an element, or of two: loop(out, x) or loop(out, x, y)."""

    # as the kernels are compiled
    @njit(error_model="numpy", fastmath={"contract"})
    def loop(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        if widest:
            jit.widest_vectors()
        for i in range(x.size):
            out[i] = function1(x[i], y[i]) if two else function1(x[i])

    return loop if two else lambda out, x: loop(out, x, x)


@cache
def own_loop_of(name: str) -> Callable[..., None]:
    """Return the loop over a function of `jit`, the same each time: it compiles once for each dtype."""
    return loop_of(getattr(jit, name), two=name == "pow1")


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Return |got - want| in steps of float32 at `want`, for finite values."""
    with np.errstate(over="ignore"):
        return np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)


@njit(error_model="numpy")
def _bits_of_steps(got: float, want: float) -> Any:
    """Return the bits of |got - want| in steps of float32 at `want`: they have the order of numbers, but are integers.

    An infinity is the number after the largest; from a NaN to a number it is infinity.
    """
    end = 2.0**128
    got = end if got > end else -end if got < -end else got
    want = end if want > end else -end if want < -end else want
    field = (np.float64(want).view(np.int64) >> np.int64(52)) & np.int64(0x7FF)
    field = min(max(field, np.int64(1023 - 126)), np.int64(1023 + 127))
    step = np.int64((np.int64(2046 + 23) - field) << np.int64(52)).view(np.float64)  # that many are 1
    steps = abs(got - want) * step
    alone = (got != got) != (want != want)
    return np.float64(np.inf if alone else 0.0 if got != got else steps).view(np.int64)


@njit(error_model="numpy")
def _furthest32(got: np.ndarray, want: np.ndarray, least: float) -> tuple[int, float]:
    """Return where float32 is furthest from what is right, and how many steps; only more than the least count."""
    most = first = np.float64(least).view(np.int64)
    for i in range(got.size):
        bits = _bits_of_steps(np.float64(got[i]), want[i])
        most = bits if bits > most else most
    at = -1
    if most > first:
        for i in range(got.size):
            at = i if _bits_of_steps(np.float64(got[i]), want[i]) == most else at
    return at, np.int64(most).view(np.float64)


def walk32(name: str, stride: int = STRIDE, chunk: int = 2**14) -> tuple[float, tuple[float, ...]]:
    """Return the largest ULP of a function over every so many of all float32, and where it is.

    What is right is what it gives for float64, off by 2**-28 of a step, as walks over float64 prove. The exponents of
    `pow1` are those whose powers are numbers, or nearly, and depend on the base alone.
    """
    two = name == "pow1"
    loop = own_loop_of(name)
    first = np.arange(0, chunk * stride, stride, dtype=np.uint64).astype(np.uint32)
    most, place = -1.0, ()
    for start in range(0, 2**32, chunk * stride):
        patterns = first + np.uint32(start)
        if start + chunk * stride > 2**32:
            patterns = np.arange(start, 2**32, stride, dtype=np.uint64).astype(np.uint32)
        x = patterns.view(np.float32)
        values = (base := np.abs(x), exponents32(base)) if two else (x,)
        got, want = np.empty_like(x), np.empty(x.size)
        loop(got, *values)
        with np.errstate(invalid="ignore"):  # a signalling NaN
            wide = [one.astype(np.float64) for one in values]
        loop(want, *wide)
        at, most = _furthest32(got, want, most)
        place = tuple(float(one[at]) for one in values) if at >= 0 else place
    return most, place


def exponents32(base: np.ndarray) -> np.ndarray:
    """Return an exponent for each base."""
    spread = (base.view(np.uint32) * np.uint32(2654435761)) / 2**32
    with np.errstate(all="ignore"):
        return ((spread * 290 - 155) / np.log2(base.astype(np.float64))).astype(np.float32)


def arguments64(name: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return float64 arguments: of all exponents, near to where formulas change, and more of those that are usual."""
    small = np.ldexp(rng.uniform(-1, 1, count), rng.integers(-60, 4, count))
    near = rng.choice(BREAKS, count) * (1 + small / 16)
    wide = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    halves = (rng.integers(-1500, 1500, count) + 0.5) * np.log(2) / 2 + small / 64  # exponentials take another power
    usual = [rng.uniform(-750, 750, count), rng.uniform(-40, 40, count), rng.uniform(-3, 3, count)]
    x = np.concatenate([small, near, -near, 1 + small, wide, halves, *usual])
    if name in BETWEEN:
        with np.errstate(invalid="ignore"):  # of infinities among the patterns
            x = np.concatenate([np.abs(x) % 1, 0.5 + small / 32])
    elif name in POSITIVE:
        x = np.abs(np.concatenate([x, rng.uniform(0.5, 2, count)]))
    elif name in ("sin1", "cos1"):
        x = np.concatenate([x, np.pi / 2 * rng.integers(1, 2**40, count)])
    return x[np.isfinite(x) & (x != 0)]


@cache
def furthest_of(name: str) -> Callable[..., tuple[int, float]]:
    """Return a compiled search (got, x, y, zero, near): where got is furthest from what is right, and how many steps.

    What is right comes from the C library in a wider type (`bench.wide`); what is so near to a zero is left out.
    """
    ulps_at = ulps_of(ALL[name].wide)

    @njit(error_model="numpy")
    def furthest(got: np.ndarray, x: np.ndarray, y: np.ndarray, zero: float, near: float) -> tuple[int, float]:
        at, most = 0, -1.0
        for i in range(x.size):
            apart = ulps_at(got[i], x[i], y[i])
            if apart > most and not abs(x[i] - zero) < near:
                at, most = i, apart
        return at, most

    return furthest


def walk64(name: str, count: int = SAMPLE, chunk: int = 2**10) -> tuple[float, tuple[float, ...]]:
    """Return the largest ULP of a function over so many float64, or some more, and where it is.

    What is right comes from a long double, where that has 80 bits; near the zeros of two slopes it is not right enough.
    """
    two = name == "pow1"
    loop, furthest = own_loop_of(name), furthest_of(name)
    rng = np.random.default_rng(2)
    worst: tuple[float, tuple[float, ...]] = (-1.0, ())
    while count > 0:
        x = arguments64(name, rng, chunk)
        y = rng.uniform(-1074, 1023, x.size) / np.log2(x, where=x != 1, out=np.ones_like(x)) if two else x
        values, got = (x, y)[: 1 + two], np.empty_like(x)
        loop(got, *values)
        at, most = furthest(got, x, y, ZEROS.get(name, np.inf), NEAR_ZERO[np.float64])
        if most > worst[0]:
            worst = most, tuple(float(one[at]) for one in values)
        count -= x.size
    return worst


def _most(worst: tuple[float, tuple[float, ...]]) -> list[str]:
    return [f"{worst[0]:.3g}", ", ".join(f"{one:.9g}" for one in worst[1])]


def accuracy_table(names: Sequence[str] = tuple(ALL), stride: int = STRIDE, count: int = SAMPLE) -> str:
    """Return the table of the largest distances, and where they are."""
    lines = [
        [f"`jit.{n}`", *_most(walk32(n, stride)), *(_most(walk64(n, count)) if HAS_EXTENDED else ["-", "-"])]
        for n in names
    ]
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
    widest = loop_of(getattr(jit, name), two=two, widest=True)
    taken["widest"] = _least(lambda: widest(out, *x), seconds)
    taken["libm"] = _least(lambda: libm(out, *x), seconds)
    if (of_numpy := scalar.numpy) is not None:
        taken["numpy"] = _least(lambda: of_numpy(*x, out), seconds)
    return taken


def _beside(times: Mapping[str, float], rival: str) -> str:
    """Return a rival's nanoseconds an element, and in brackets its time over ours, and over ours in wide vectors."""
    if rival not in times:
        return "-"
    ratios = "; ".join(f"{times[rival] / times[ours]:.2f}x" for ours in ("ours", "widest"))
    return f"{1e9 * times[rival] / ELEMENTS:.2f} ({ratios})"


def speed_table(names: Sequence[str] = tuple(ALL), seconds: float = SECONDS) -> str:
    """Return the table of nanoseconds an element, beside those of the rivals, and of the first call."""
    loop_of(jit.exp1)(np.empty(1, np.float32), np.ones(1, np.float32))  # numba itself has come up
    lines = []
    for name in names:
        cells, first = [], []
        for dtype in DTYPES:
            taken = times(name, dtype, seconds)
            cells.append("; ".join(f"{1e9 * taken[ours] / ELEMENTS:.2f}" for ours in ("ours", "widest")))
            cells += [_beside(taken, rival) for rival in ("numpy", "libm")]
            first.append(f"{taken['first']:.2f}")
        lines.append([f"`jit.{name}`", *cells, " / ".join(first) + " s"])
    heads = [f"{np.dtype(d).name}{way}" for d in DTYPES for way in (": ns", ", numpy", ", math.*")]
    return markdown(["function", *heads, "first call"], lines)


def library_times(name: str, dtype: Any, seconds: float = SECONDS) -> dict[str, float]:
    """Return the seconds that a function takes over the array, and libraries that have it, or nothing."""
    x = _inputs(name, dtype)
    out, two = np.empty_like(x[0]), name == "pow1"
    loops = {library: loop_of_library(library, name, dtype) for library in LIBRARIES}
    if not any(loops.values()):
        return {}
    loops |= {ours: loop_of(getattr(jit, name), two=two, widest=ours == "widest") for ours in ("ours", "widest")}
    return {way: _least(partial(loop, out, *x), seconds) for way, loop in loops.items() if loop is not None}


def libraries_table(names: Sequence[str] = tuple(ALL), seconds: float = SECONDS) -> str:
    """Return the table of the nanoseconds an element that libmvec and SLEEF take, of functions that one of them has."""
    lines = []
    for name in names:
        taken = [library_times(name, dtype, seconds) for dtype in DTYPES]
        if any(taken):
            lines.append([f"`jit.{name}`", *(_beside(each, library) for each in taken for library in LIBRARIES)])
    return markdown(["function", *(f"{np.dtype(d).name}, {library}" for d in DTYPES for library in LIBRARIES)], lines)
