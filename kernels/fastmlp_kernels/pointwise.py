"""Functions of each element of an array, of any shape and any order of memory: exp, log, tanh, erf, GELU and their kin.

Each is a line of the table below: a name, from which that of its function of one element follows, and what to say of
it. All share one loop, which is compiled for each at its first call.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, Protocol

import numpy as np

from fastmlp_kernels import _check, elementary
from fastmlp_kernels._jit import element, kernel
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._views import fill, vector_at
from fastmlp_kernels.elementary import exp_below1, log1p1

# An array, or a number of Python or numpy.
Numbers = np.ndarray | np.floating | np.integer | float


class Pointwise(Protocol):
    """A function of each element of x (...), float32 or float64, or of a number; see `exp`."""

    def __call__(self, x: Numbers, out: np.ndarray | None = None) -> Any:
        """Return the result, in `out` (...) of x's shape and dtype where one is given."""
        ...


@element
def _log_sigmoid1(x):
    """Logarithm of the sigmoid as predictions have had it: half an ULP less exact than `jit.log_sigmoid1`."""
    return (type(x)(0) if x > type(x)(0) else x) - log1p1(exp_below1(-abs(x)))


def _element_of(name: str) -> Any:
    """Return the function of one element: `exp1` of exp, `exp2_1` of exp2."""
    one = f"{name}_1" if name[-1].isdigit() else f"{name}1"
    if name == "log_sigmoid":
        return _log_sigmoid1
    if hasattr(elementary, one):
        return getattr(elementary, one)
    from fastmlp_kernels import scalars  # takes 20 ms

    return getattr(scalars, one)


# What the loops below are made over, each with a value of its own: see `_loop_over`.
element1: Callable[..., Any] = elementary.exp1


def _one(x: np.ndarray, out: np.ndarray) -> None:
    source, result = vector_at(x, 0, x.size), vector_at(out, 0, x.size)
    for i in range(source.size):
        result[i] = element1(source[i])


def _two(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Either of x and y may be one element for all."""
    once = vector_at(work_array(out, SIZE), 0, SIZE)
    if x.size < out.size:
        fill(once, x[0])
    elif y.size < out.size:
        fill(once, y[0])
    for start in range(0, out.size, SIZE):
        result = vector_at(out, start, min(SIZE, out.size - start))
        bases = vector_at(x if x.size == out.size else once, start if x.size == out.size else 0, result.size)
        powers = vector_at(y if y.size == out.size else once, start if y.size == out.size else 0, result.size)
        for i in range(result.size):
            result[i] = element1(bases[i], powers[i])


@cache
def _loop_over(name: str, form: Callable[..., None] = _one) -> Callable[..., None]:
    """Return the compiled loop over the function of one element that goes by a name.

    That is a global of the loop's own copy of this module's, not of a closure: these have no place in the disk's cache.
    """
    body = FunctionType(form.__code__, globals() | {"element1": _element_of(name)}, f"_{name}")
    body.__qualname__ = f"_{name}"
    return kernel(body)


_exp, _sigmoid, _log_sigmoid = _loop_over("exp"), _loop_over("sigmoid"), _loop_over("log_sigmoid")  # for `jit`


def _apply(body: Callable[[np.ndarray, np.ndarray], None], x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Call a loop on arrays that are checked. It is compiled for contiguous ones alone, others are copied."""
    if out is None:
        if x.flags.carray:  # also aligned and writable, which numba has other types for
            result = np.empty(x.shape, x.dtype)
            body(x.ravel(), result.ravel())
        else:
            result = x.copy(order="K")  # as it lies, and dense: a view of it all is flat
            flat = result.ravel(order="K")
            body(flat, flat)
        return result
    if not out.flags.carray:
        out[...] = _apply(body, x, None)
    else:
        if not x.flags.carray or np.may_share_memory(x, out):
            np.copyto(out, x)  # which minds what overlaps, and does nothing where out is x
            x = out
        body(x.ravel(), out.ravel())
    return out


# All of one argument, by name.
POINTWISE: dict[str, Pointwise] = {}


def _pointwise(name: str, says: str, accuracy: str) -> Pointwise:
    def function(x: Numbers, out: np.ndarray | None = None) -> Any:
        values = _check.numbers("x", x)
        if out is None:
            result = _apply(_loop_over(name), values, None)
            return result if values.ndim else result[()]
        _check.array("out", out, (values.dtype,), values.shape, writes=True, any_order=True)
        _apply(_loop_over(name), values, np.asarray(out))  # of a subclass a plain view
        return out

    POINTWISE[name] = function
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{says}, of each element; returns `out`, or a new array where it is None.

    x : (...) float32 or float64, in any order of memory, or a number
    out : of the same shape and dtype; may be x itself, or overlap it

    {accuracy}. NaN gives NaN, an infinity what the function tends to, NaN where that is nothing. Of a number, or an
    array without dimensions, a number is returned.
    Raises TypeError or ValueError naming the argument at fault.
    """
    return function


_ONE, _TWO, _THREE = (f"float32 is within {n} ULP of the correctly rounded value, float64 within 2" for n in (1, 2, 3))

exp = _pointwise("exp", "Exponential", _ONE)
exp2 = _pointwise("exp2", "2**x", _ONE)
expm1 = _pointwise("expm1", "exp(x) - 1, which keeps its precision near 0", _TWO)
log = _pointwise("log", "Natural logarithm, -inf of 0 and NaN below", _ONE)
log2 = _pointwise("log2", "Logarithm to base 2, -inf of 0 and NaN below", _ONE)
log10 = _pointwise("log10", "Logarithm to base 10, -inf of 0 and NaN below", _ONE)
log1p = _pointwise("log1p", "log(1 + x), which keeps its precision near 0", _ONE)
rsqrt = _pointwise("rsqrt", "1 / sqrt(x), inf of 0 and NaN below", _ONE)
sin = _pointwise("sin", "Sine of x in radians, of any size", _ONE)
cos = _pointwise("cos", "Cosine of x in radians, of any size", _ONE)
tanh = _pointwise("tanh", "Hyperbolic tangent", _THREE)
erf = _pointwise("erf", "Error function", _ONE)
erfc = _pointwise("erfc", "1 - erf(x), which keeps its precision far above 0", _ONE)
sigmoid = _pointwise("sigmoid", "Logistic sigmoid 1 / (1 + exp(-x))", _THREE)
log_sigmoid = _pointwise("log_sigmoid", "Logarithm of the sigmoid, -log(1 + exp(-x))", _TWO)
logit = _pointwise("logit", "log(x / (1 - x)), NaN outside 0 to 1", _ONE)
softplus = _pointwise("softplus", "log(1 + exp(x))", _ONE)
relu = _pointwise("relu", "max(x, 0)", "It is exact, and NaN stays NaN")
leaky_relu = _pointwise("leaky_relu", "x where that is positive, else 0.01 x", _ONE)
elu = _pointwise("elu", "x where that is positive, else exp(x) - 1", _TWO)
silu = _pointwise("silu", "x / (1 + exp(-x)), x times its sigmoid; -0 of -inf", _TWO)
gelu = _pointwise(
    "gelu", "x (1 + erf(x / sqrt 2)) / 2, x times a normal number's chance to be below it; -0 of -inf", _ONE
)


def _flat(x: np.ndarray) -> np.ndarray:
    return (x if x.flags.carray else np.array(x, order="C")).ravel()


def _same(x: np.ndarray, out: np.ndarray) -> bool:
    return not np.may_share_memory(x, out) or x is out


def pow(x: Numbers, y: Numbers, out: np.ndarray | None = None) -> Any:  # noqa: A001
    """x**y, of each element and of bases from 0 on; returns `out`, or a new array where it is None.

    x : (...) float32 or float64, in any order of memory, or a number; of negative bases the result is NaN
    y : of the same shape and dtype, or a number
    out : of the same shape and dtype; may be x or y itself, or overlap them

    float32 is within 1 ULP of the correctly rounded value, float64 within 2. A number is of the other's dtype. Of two
    numbers, or arrays without dimensions, a number is returned.
    Raises TypeError or ValueError naming the argument at fault.
    """
    powers = _check.numbers("y", y, like=x)
    bases = _check.numbers("x", x, like=y)
    _check.array("y", powers, (bases.dtype,), any_order=True)
    if bases.ndim and powers.ndim and bases.shape != powers.shape:
        raise ValueError(f"y has shape {powers.shape}, expected {bases.shape} as x has, or a number")
    shape = bases.shape or powers.shape
    if out is not None:
        _check.array("out", out, (bases.dtype,), shape, writes=True, any_order=True)
    target = None if out is None else np.asarray(out)  # of a subclass a plain view
    direct = target is not None and target.flags.carray and _same(bases, target) and _same(powers, target)
    result = target if target is not None and direct else np.empty(shape, bases.dtype)
    _loop_over("pow", _two)(_flat(bases), _flat(powers), result.ravel())
    if out is None:
        return result if result.ndim else result[()]
    if not direct:
        out[...] = result
    return out
