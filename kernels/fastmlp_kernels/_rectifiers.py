"""Leaky ReLU, ELU, softplus, SiLU and GELU of one element, and their slopes, without branches.

All five are near 0 far below and near x far above. The smooth ones are symmetric up to that line, f(x) = x + f(-x), so
each is max(x, 0) and a correction that is a function of |x| alone: no cancellation, no overflow, and the limit where x
is infinite. NaN stays NaN. Errors in ULP of the correctly rounded value, over every finite float32, as
`tests/test_kernels_rectifiers.py` proves; float64 is within as many, on the samples of that test:

    leaky_relu1  1 ULP
    elu1         2 ULP
    softplus1    1 ULP
    silu1        3 ULP, or 1e-43: below -87 its sigmoid is a subnormal number
    gelu1        6 ULP, far below too, where it is x times a chance of 1e-30: no difference from 1 is taken

The slopes of leaky ReLU, ELU and softplus are functions of the output; those of SiLU and GELU, whose output takes
values twice, of the input. They cross zero, so that their error is one beside 1: twice the dtype's eps at most.

`jit` has SiLU and GELU of 1 ULP, worked in float64: in loops over rows these take a third less time.

SiLU: Elfwing et al., Sigmoid-weighted linear units, 2018. GELU, with the normal distribution itself and not the tanh
that is near it: Hendrycks and Gimpel, Gaussian error linear units, 2016. ELU: Clevert et al., 2016. Leaky ReLU: Maas et
al., Rectifier nonlinearities improve neural network acoustic models, 2013. Softplus: Dugas et al., 2001.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastmlp_kernels import _logistics as logistics
from fastmlp_kernels._jit import PART, body_of, by_dtype, part, scalar
from fastmlp_kernels.elementary import exp_below1, expm1_1, relu1

F = np.float32

# Of leaky ReLU below zero.
SLOPE = 0.01
# Beyond these magnitudes exp(-x) and exp(-x^2 / 2) are 0 in float64.
EXP_MOST, GAUSSIAN_MOST = 800.0, 40.0
# The normal distribution's density at 0.
INV_SQRT_2PI = 0.3989422804014327
# The upper tail of the normal distribution over exp(-a^2 / 2) is u P(t), u = k / (k + a), t = 2 u - 1: the change of
# variable of Shepherd and Laframboise (Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, Math. Comp. 36, 1981), with
# minimax polynomials P found for this package by Remez's exchange: to 8e-9 of it with k = 3.5, to 1.3e-17 with k = 5.
K32, K64 = F(3.5), 5.0
TAIL = (
    0.15383860995001258, 0.13307650057801132, 0.0990611231939954, 0.06270663133426314, 0.03300407323407231,
    0.013823727741190393, 0.00415901336004846, 0.0005986753551392428, -0.0001595738802960083, -0.00010897982117401884,
    -1.1875142255786465e-05, 9.952602048581325e-06, 3.3362289637140916e-06, -7.962982488070572e-07,
    -5.538110315979597e-07, 6.754862546869179e-08, 8.653727044246634e-08, -8.722464598512926e-09,
    -1.3063952562034658e-08, 2.0421739935008393e-09, 1.4363891259934282e-09, -4.0278080511443077e-10,
)  # fmt: skip
(
    Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9, Q10, Q11, Q12, Q13, Q14, Q15, Q16, Q17, Q18, Q19, Q20, Q21,
) = TAIL  # fmt: skip
P0, P1, P2 = F(0.2126903086900711), F(0.16158907115459442), F(0.09012145549058914)
P3, P4, P5 = F(0.03315804898738861), F(0.004973091650754213), F(-0.0018553505651652813)
P6, P7, P8 = F(-0.0009065222111530602), F(0.00014143978478386998), F(0.00011952066415688023)
P9 = F(-3.1055122235557064e-05)


@part
def _tail_f32(a: F) -> F:
    u = K32 / (K32 + a)
    t = F(2.0) * u - F(1.0)
    p = P9 * t + P8
    p = p * t + P7
    p = p * t + P6
    p = p * t + P5
    p = p * t + P4
    p = p * t + P3
    p = p * t + P2
    p = p * t + P1
    return u * (p * t + P0)


@part
def _tail_f64(a: float) -> float:
    u = K64 / (K64 + a)
    t = 2.0 * u - 1.0
    p = Q21 * t + Q20
    p = p * t + Q19
    p = p * t + Q18
    p = p * t + Q17
    p = p * t + Q16
    p = p * t + Q15
    p = p * t + Q14
    p = p * t + Q13
    p = p * t + Q12
    p = p * t + Q11
    p = p * t + Q10
    p = p * t + Q9
    p = p * t + Q8
    p = p * t + Q7
    p = p * t + Q6
    p = p * t + Q5
    p = p * t + Q4
    p = p * t + Q3
    p = p * t + Q2
    p = p * t + Q1
    return u * (p * t + Q0)


@part
def _head_f32(a: F) -> F:
    return np.int32(np.float32(a).view(np.int32) & np.int32(-(2**12))).view(np.float32)


@part
def _head_f64(a: float) -> float:
    return np.int64(np.float64(a).view(np.int64) & np.int64(-(2**27))).view(np.float64)


def _tail(a):
    """Return the upper tail of the normal distribution beyond a >= 0, over exp(-a^2 / 2)."""
    return _tail_f32(a) if a.dtype == np.float32 else _tail_f64(a)


def _head(a):
    """Return the upper half of a number's bits, whose square is exact."""
    return _head_f32(a) if a.dtype == np.float32 else _head_f64(a)


@overload(_tail, jit_options=PART)
def _overload_tail(a):
    return body_of(_tail_f32 if a == types.float32 else _tail_f64)


@overload(_head, jit_options=PART)
def _overload_head(a):
    return body_of(_head_f32 if a == types.float32 else _head_f64)


@part
def _magnitude(x, most):
    # an infinite one would give infinity times zero; a NaN fails the comparison and passes through
    a = abs(x)
    return type(x)(most) if a > type(x)(most) else a


@part
def _gaussian(a):
    """Return exp(-a^2 / 2) of a >= 0. The rounding of a^2 would cost hundreds of ULP, so what it lost is multiplied in.

    The square of a number cut in two is exact part by part, fused or not.
    """
    square, head = a * a, _head(a)
    rest = a - head
    lost = ((head * head - square) + type(a)(2) * head * rest) + rest * rest
    e = exp_below1(type(a)(-0.5) * square)
    return e - e * (type(a)(0.5) * lost)


@scalar
def leaky_relu1(x):
    """Return x where it is positive, and 0.01 x elsewhere."""
    return x if x > type(x)(0) else x * type(x)(SLOPE)


@scalar
def elu1(x):
    """Return x where it is positive, and exp(x) - 1 elsewhere."""
    return x if x > type(x)(0) else expm1_1(x)


@by_dtype(logistics.softplus32, logistics.softplus64)
def softplus(x):
    """Return log(1 + exp(x))."""
    return np.logaddexp(x, type(x)(0))


@part
def softplus1(x):
    """Return log(1 + exp(x))."""
    return softplus(x)


@scalar
def silu1(x):
    """Return x / (1 + exp(-x)), x times its logistic sigmoid."""
    a = _magnitude(x, EXP_MOST)
    e = exp_below1(-a)
    return relu1(x) - a * e / (type(x)(1) + e)


@scalar
def gelu1(x):
    """Return x times the chance that a standard normal number is below x."""
    a = _magnitude(x, GAUSSIAN_MOST)
    return relu1(x) - a * _tail(a) * _gaussian(a)


@part
def stepped(x, below):
    """Return 1 for a positive x, `below` for others, and NaN for NaN."""
    return type(x)(1) if x > type(x)(0) else below if x <= type(x)(0) else x


@part
def times_leaky_relu_slope1(d, h):
    """Return d times the slope of `leaky_relu1` where its output is h."""
    return d * (type(h)(1) if h > type(h)(0) else type(h)(SLOPE))


@part
def times_elu_slope1(d, h):
    """Return d times the slope of `elu1` where its output is h."""
    return d * (type(h)(1) if h > type(h)(0) else h + type(h)(1))


@part
def times_softplus_slope1(d, h):
    """Return d times the slope of `softplus1` where its output is h: 1 - exp(-h), precise also where h is small."""
    return d * -expm1_1(-h)


@part
def times_silu_slope1(d, x):
    """Return d times the slope of `silu1` at x."""
    one, a = type(x)(1), _magnitude(x, EXP_MOST)
    e = exp_below1(-a)
    above = one / (one + e)
    below = e * above * (one - a * above)  # at -|x|; at |x| it is what is missing to 1
    return d * (below if x < type(x)(0) else one - below)


@part
def times_gelu_slope1(d, x):
    """Return d times the slope of `gelu1` at x."""
    a = _magnitude(x, GAUSSIAN_MOST)
    below = _gaussian(a) * (_tail(a) - a * type(x)(INV_SQRT_2PI))
    return d * (below if x < type(x)(0) else type(x)(1) - below)
