"""Fit the polynomials of `fastmlp_kernels.scalars` anew, and write them to `fastmlp_kernels/_coefficients.py`.

    python -m bench.polynomials            fit all, and write the file (half a minute; needs mpmath)
    python -m bench.polynomials --print    fit all, and print the file

Each polynomial is the minimax one of its degree: Remez' exchange on a fine grid of Chebyshev points, in arithmetic of
60 digits. What it makes least is the largest |error * weight|, with a weight that makes it the relative error of a
result.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mpmath import matrix, mp, mpf

PAGE = Path(__file__).parents[1] / "kernels" / "fastmlp_kernels" / "_coefficients.py"
HEAD = '''"""Coefficients of polynomials, from the constant on, and numbers in two parts.

Written by `python -m bench.polynomials`, which says what each stands for: change that, and not this. Above each
polynomial stands its largest error times its weight.
"""

'''
DIGITS = 60
POINTS = 16  # of the grid for each coefficient

Number = Any  # mpmath has no types
Function = Callable[[Number], Number]


class Fit(NamedTuple):
    """A polynomial of a degree near `value` on an interval, where an error counts times `weight`.

    The others make up for what is lost where the first `rounded` of its coefficients become float64.
    """

    value: Function
    low: float | Number
    high: float | Number
    degree: int
    weight: Function = lambda _: mpf(1)
    rounded: int = 0


def remez(fit: Fit) -> tuple[list[Number], Number]:
    """Return the coefficients, that of the constant first, and the largest error times its weight."""
    size = fit.degree + 2
    middle, half = (mpf(fit.high) + fit.low) / 2, (mpf(fit.high) - fit.low) / 2
    count = POINTS * size
    grid = [middle - half * mp.cos(mp.pi * (i + mpf(1) / 2) / count) for i in range(count)]
    values, weights = [fit.value(x) for x in grid], [fit.weight(x) for x in grid]
    chosen = [POINTS * i + POINTS // 2 for i in range(size)]
    level = largest = mpf(0)
    for _ in range(50):
        system, right = matrix(size, size), matrix(size, 1)
        for row, at in enumerate(chosen):
            for j in range(size - 1):
                system[row, j] = grid[at] ** j
            system[row, size - 1] = (-1) ** row / weights[at]
            right[row] = values[at]
        solved = mp.lu_solve(system, right)
        coefficients, level = list(solved)[:-1], abs(solved[size - 1])
        errors = [(v - mp.polyval(coefficients[::-1], x)) * w for x, v, w in zip(grid, values, weights, strict=True)]
        largest = max(map(abs, errors))
        if largest <= level * mpf("1.001"):
            return _with_first_rounded(coefficients, fit.rounded, grid), largest
        chosen = _exchange(errors, size)
    raise ArithmeticError(f"no convergence: level {mp.nstr(level, 5)}, largest error {mp.nstr(largest, 5)}")


def _with_first_rounded(coefficients: Sequence[Number], count: int, grid: Sequence[Number]) -> list[Number]:
    """Return them with the first `count` in float64, and the others moved by the least squares of what that changes."""
    if not count:
        return list(coefficients)
    first = [mpf(float(c)) for c in coefficients[:count]]
    powers, change = matrix(len(grid), len(coefficients) - count), matrix(len(grid), 1)
    for row, x in enumerate(grid):
        change[row] = sum((c - f) * x**j for j, (c, f) in enumerate(zip(coefficients, first, strict=False)))
        for j in range(powers.cols):
            powers[row, j] = x ** (count + j)
    moved, _ = mp.qr_solve(powers, change)
    return first + [c + m for c, m in zip(coefficients[count:], moved, strict=True)]


def _exchange(errors: Sequence[Number], size: int) -> list[int]:
    """Return where the error has its extremes, of alternating sign, `size` of them."""
    extremes: list[int] = []
    for i, error in enumerate(errors):
        if extremes and (error > 0) == (errors[extremes[-1]] > 0):
            if abs(error) > abs(errors[extremes[-1]]):
                extremes[-1] = i
        else:
            extremes.append(i)
    while len(extremes) > size:
        extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
    return extremes


def _exp2(r: Number) -> Number:
    return mp.expm1(r * mp.log(2)) / r


def _exp(r: Number) -> Number:
    with mp.extradps(DIGITS):
        return (mp.expm1(r) - r) / r**2


def _log(z: Number) -> Number:
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def _log_rest(z: Number) -> Number:
    with mp.extradps(DIGITS):
        return (_log(z) - mpf(2) / 3) / z


def _log2_of_quotient(z: Number) -> Number:
    s = mp.sqrt(z)
    return 2 * mp.atanh(s) / (s * mp.log(2))


def _log_over(f: Number) -> Number:
    return mp.log1p(f) / f


def _erf(z: Number) -> Number:
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def _phi(z: Number) -> Number:
    x = mp.sqrt(z)
    return mp.erf(x / mp.sqrt(2)) / (2 * x)


def _sine(z: Number) -> Number:
    r = mp.sqrt(z)
    with mp.extradps(DIGITS):
        return (mp.sin(r) / r - 1) / z


def _sine_of_turn(z: Number) -> Number:
    """Return the sine of t half turns over t, z = t^2."""
    t = mp.sqrt(z)
    return mp.sin(t * mp.pi) / t


def _cosine(z: Number) -> Number:
    with mp.extradps(DIGITS):
        return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def _scaled_erfc(a: Number) -> Number:
    return mp.erfc(a) * mp.exp(a * a)


def _scaled_tail(a: Number) -> Number:
    """Return exp(a^2 / 2) times the chance that a standard normal number is beyond a."""
    return _scaled_erfc(a / mp.sqrt(2)) / 2


def _slope_over_zero(a: Number) -> Number:
    """Return exp(a^2 / 2) times the slope of GELU at -a, over (zero - a)."""
    return (_scaled_tail(a) - a / mp.sqrt(2 * mp.pi)) / (gelu_zero() - a)


def gelu_zero() -> Number:
    """Return the a at which the slope of GELU at -a is 0."""
    return mp.findroot(lambda a: _scaled_tail(a) - a / mp.sqrt(2 * mp.pi), mpf("0.7517915"))


def silu_zero() -> Number:
    """Return the a at which the slope of SiLU at -a is 0."""
    return mp.findroot(lambda a: 1 + mp.exp(-a) - a, mpf("1.2784645"))


def _silu_near_zero(d: Number) -> Number:
    """Return (1 + exp(-a) - a) / d - 1 for a = zero - d: the slope of SiLU at -a has the sign of d."""
    return (silu_zero() - 1) * mp.expm1(d) / d


def _in_t(function: Function, k: float) -> Function:
    """Return a function of a as one of t = k / (k + a) - 1/2."""
    return lambda t: function(k / (t + mpf(1) / 2) - k)


def _interval(k: float, low: float, high: float) -> tuple[Number, Number]:
    return mpf(k) / (k + mpf(high)) - mpf(1) / 2, mpf(k) / (k + mpf(low)) - mpf(1) / 2


# The variable of the tails is t = K / (K + a) - 1/2.
ERFC_K, GELU_K, SLOPE_K = 3.0, 4.0, 4.0
SMALL = 0.5  # below, erfc and GELU are polynomials
NEAR = 0.0625  # to its zero, the slope of SiLU is a polynomial
TWO_OVER_PI_BITS = 1280
MOST32, MOST64 = 14.6, 39.5  # beyond, exp(-a^2 / 2) a is 0


def _tails() -> dict[str, Fit]:
    root = mp.sqrt(2)

    def logarithm(function: Function, k: float) -> Function:
        return _in_t(lambda a: mp.log(2 * function(a) * (k + a) / k), k)

    def share(function: Function, k: float) -> Function:
        return _in_t(lambda a: function(a) * (k + a) / k, k)

    def relative(function: Function) -> Function:
        return lambda t: 1 / function(t)

    erfc, gelu = share(_scaled_erfc, ERFC_K), share(_scaled_tail, GELU_K)
    slope = _in_t(_slope_over_zero, SLOPE_K)

    def change(function: Function) -> Function:
        return lambda t: (t + mpf(1) / 2) * mp.diff(lambda s: mp.log(function(s)), t)

    return {
        "ERFC32": Fit(erfc, *_interval(ERFC_K, 0, MOST32 / root), 10, relative(erfc)),
        "GELU32": Fit(gelu, *_interval(GELU_K, 0, MOST32), 10, relative(gelu)),
        "GELU_SLOPE32": Fit(slope, *_interval(SLOPE_K, 0, MOST32), 10, relative(slope)),
        "ERFC64": Fit(logarithm(_scaled_erfc, ERFC_K), *_interval(ERFC_K, SMALL, MOST64 / root), 22, rounded=2),
        "GELU64": Fit(logarithm(lambda a: 2 * _scaled_tail(a), GELU_K), *_interval(GELU_K, SMALL, MOST64), 23),
        "ERFC_CHANGE": Fit(change(_in_t(_scaled_erfc, ERFC_K)), *_interval(ERFC_K, SMALL, MOST64 / root), 2),
        "GELU_CHANGE": Fit(change(_in_t(_scaled_tail, GELU_K)), *_interval(GELU_K, SMALL, MOST64), 2),
        "SLOPE_CHANGE": Fit(change(slope), *_interval(SLOPE_K, 0, MOST64), 3),
        "GELU_SLOPE64": Fit(lambda t: mp.log(2 * slope(t)), *_interval(SLOPE_K, 0, MOST64), 23),
    }


def fits() -> dict[str, Fit]:
    """Return all fits by the names of their coefficients."""
    half = mp.log(2) / 2 * mpf("1.0001")
    quarter, turned = (mp.pi / 4 * mpf("1.0001")) ** 2, mpf("0.564") ** 2
    wide, usual = mpf("0.2") ** 2, (3 - mp.sqrt(8)) ** 2
    below, above = mp.sqrt(mpf(1) / 2) * mpf("0.9999") - 1, mp.sqrt(2) * mpf("1.0001") - 1

    def of_power(r: Number) -> Number:
        return max(abs(r), mpf("0.02")) / 2**r

    def logarithm(base: int, degree: int) -> Fit:
        scale = mp.log(base)
        return Fit(lambda f: _log_over(f) / scale, below, above, degree, lambda f: scale / _log_over(f))

    return {
        "EXP2_32": Fit(_exp2, -0.5, 0.5, 5, of_power),
        "EXP2_64": Fit(_exp2, -0.5, 0.5, 10, of_power),
        "EXP_LITE": Fit(_exp, -half, half, 5, lambda r: max(r * r, mpf("1e-3"))),
        "EXP64": Fit(_exp, -half, half, 9, lambda r: max(r * r, mpf("1e-3"))),
        "LOG2_32": logarithm(2, 9), "LOG10_32": logarithm(10, 9),
        "LOG2_LITE": Fit(_log2_of_quotient, 0, usual, 4, lambda z: 1 / _log2_of_quotient(z)),
        "LOG_LITE": Fit(_log, 0, usual, 4),
        "LOG64": Fit(_log, 0, wide, 7),
        "LOG_REST64": Fit(_log_rest, 0, usual, 7),
        "ERF32": Fit(_erf, 0, 0.85, 6),
        "ERF64": Fit(_erf, 0, 1, 12),
        "ERF_REST32": Fit(lambda a: -mp.log(mp.erfc(a)), 0.9, 4, 7, lambda a: mp.erfc(a)),
        "ERF_REST64": Fit(lambda t: -mp.log(mp.erfc(1 + t)), 0, 5, 18, lambda t: mp.erfc(1 + t)),
        "SIN32": Fit(_sine_of_turn, 0, turned, 5, lambda z: 1 / _sine_of_turn(z)),
        "SIN64": Fit(_sine, 0, quarter, 5),
        "COS64": Fit(_cosine, 0, quarter, 5),
        "SILU_NEAR_ZERO64": Fit(_silu_near_zero, -NEAR, NEAR, 8),
        "PHI64": Fit(_phi, 0, SMALL**2, 7),
        **_tails(),
    }  # fmt: skip


def _cut(value: Number, bits: int) -> Number:
    """Return the nearest number of so many bits."""
    exponent = bits - int(mp.floor(mp.log(abs(value), 2))) - 1
    return mp.nint(value * mpf(2) ** exponent) / mpf(2) ** exponent


def parts() -> dict[str, tuple[Number, int]]:
    """Return the numbers that are held in two parts, with the bits of the upper one."""
    ln2 = mp.log(2)
    log2_e, log10_2 = 1 / ln2, ln2 / mp.log(10)
    return {
        "LN2_64": (ln2, 32),
        "LOG10_2_32": (log10_2, 15), "LOG10_2_64": (log10_2, 42),
        "TWO_THIRDS_64": (mpf(2) / 3, 53), "LOG2_E_FULL_64": (log2_e, 53), "LOG10_E_64": (1 / mp.log(10), 53),
        "HALF_PI_64": (mp.pi / 2, 53),
        "LOG_ERF_SLOPE_64": (mp.log(2 / mp.sqrt(mp.pi)), 53),
        "GELU_ZERO_64": (gelu_zero(), 53), "SILU_ZERO_64": (silu_zero(), 53),
    }  # fmt: skip


def render() -> Iterator[str]:
    """Yield the lines of the module of coefficients."""
    yield from HEAD.splitlines()
    for name, fit in fits().items():
        coefficients, error = remez(fit)
        yield f"# {mp.nstr(error, 2)}"
        yield f"{name} = ("
        texts = [f"{float(c)!r}," for c in coefficients]
        yield from ("    " + " ".join(texts[i : i + 4]) for i in range(0, len(texts), 4))
        yield ")  # fmt: skip"
    for name, (value, bits) in parts().items():
        high = _cut(value, bits)
        yield f"{name} = ({float(high)!r}, {float(value - high)!r})"
    zero = silu_zero()
    yield f"SILU_AT_ZERO_64 = {float((zero - float(zero)) * zero)!r}"
    with mp.workprec(TWO_OVER_PI_BITS + 64):
        digits = f"{int(mp.floor(2 / mp.pi * mpf(2) ** TWO_OVER_PI_BITS)):x}"
    yield f"# the first {TWO_OVER_PI_BITS} bits of 2 / pi behind the point"
    yield "TWO_OVER_PI = int("
    yield from (f'    "{digits[i : i + 100]}"' for i in range(0, len(digits), 100))
    yield "    , 16)  # fmt: skip"
    for name in ("ERFC_K", "GELU_K", "SLOPE_K", "SMALL", "NEAR", "TWO_OVER_PI_BITS"):
        yield f"{name} = {globals()[name]!r}"


def text() -> str:
    """Return the module of coefficients."""
    with mp.workdps(DIGITS):
        return "\n".join(render()) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, then write or print the coefficients."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.polynomials", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write no file")
    args = parser.parse_args(argv)
    if args.only_print:
        print(text())
    else:
        PAGE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
