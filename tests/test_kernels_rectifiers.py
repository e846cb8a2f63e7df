"""Leaky ReLU, ELU, softplus, SiLU and GELU of one element against float64, and of float64 against many digits.

The truth for float32 is the plain form in float64, which is nearer to the exact value than a thousandth of an ULP of
float32, so that a measured distance of n is at most n + 1.
"""

import numpy as np
import pytest
from numba import njit

from arrays import edge_floats, ulps
from fastmlp import reference
from fastmlp_kernels import _rectifiers

# The largest distances from the rounded truth, with and without fused multiply-add.
BOUNDS = {"leaky_relu": 1, "elu": 2, "softplus": 1, "silu": 3, "gelu": 6}
# What a subnormal sigmoid may lose, times x.
LOST = {"silu": 1e-43}
# Of float64, with 40 digits; the last of each is far below.
EXACT = {
    "elu": [(-1e-9, -9.9999999950000006245e-10), (-0.75, -0.52763344725898529286), (-30.0, -0.99999999999990642377)],
    "softplus": [(0.5, 0.97407698418010668087), (-3.0, 0.048587351573742058759), (-700.0, 9.8596765437597708567e-305)],
    "silu": [(0.5, 0.31122966560092728232), (-3.0, -0.14227761953270034264), (-700.0, -6.9017735806318395997e-302)],
    "gelu": [
        (0.5, 0.34573123063700655182), (-3.0, -0.00404969409489028358), (-12.0, -2.1317785344932147972e-32),
        (-37.0, -2.1184613523340934244e-298),
    ],
}  # fmt: skip


def _loop(function1):
    @njit(error_model="numpy", fastmath={"contract"})
    def loop(x, out):
        for i in range(x.size):
            out[i] = function1(x[i])

    def apply(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return apply


LOOPS = {name: _loop(getattr(_rectifiers, f"{name}1")) for name in BOUNDS}


def assert_close_over(name, x):
    with np.errstate(all="ignore"):
        got, want = LOOPS[name](x), reference.ACTIVATIONS[name][0](x.astype(np.float64), np.zeros(1))
        near = np.abs(got - want) <= LOST.get(name, 0)
        apart = np.where(near, 0, ulps(got, want))
    worst = apart.argmax()
    assert apart[worst] <= BOUNDS[name], f"{name}({x[worst]!r}) is {got[worst]!r}, expected {want[worst]!r}"


def patterns(start, stop, step):
    return np.arange(start, stop, step).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_stride_through_every_float32(name):
    step = 9973 if name == "gelu" else 997  # primes; erfc is called once an element
    assert_close_over(name, np.concatenate([patterns(0, 2**32, step), edge_floats(np.float32)]))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUNDS)
def test_every_float32(name):
    for start in range(0, 2**32, 2**20):
        assert_close_over(name, patterns(start, start + 2**20, 1))


@pytest.mark.parametrize("name", EXACT)
def test_float64_has_as_many_digits(name):
    x, want = np.array(EXACT[name]).T
    assert ulps(LOOPS[name](x), want).max() <= BOUNDS[name] + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDS)
def test_limits(name, dtype):
    below, above, nothing = LOOPS[name](np.array([-np.inf, np.inf, np.nan], dtype))
    assert below == {"leaky_relu": -np.inf, "elu": -1}.get(name, 0)
    assert above == np.inf
    assert np.isnan(nothing)
    assert LOOPS[name](np.array([-0.0, 0.0], dtype)).tolist() == 2 * [dtype(np.log(2)) if name == "softplus" else 0]
