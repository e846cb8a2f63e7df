"""Functions of each element of arrays: what they compute, in every order of memory, with overlap, and of numbers.

How exact the functions of one element are, the tests of `elementary` and `scalars` prove; here it is that each array
function is made of its own.
"""

from typing import Any

import numpy as np
import pytest

import fastmlp_kernels as fk
from arrays import edge_floats, fenced
from bench.cases import ELEMENTS, POSITIVE
from fastmlp_kernels import jit
from fastmlp_kernels.pointwise import POINTWISE, _loop_over

DTYPES = [np.float32, np.float64]
OF_ONE = {name: f"{name}_1" if name[-1].isdigit() else f"{name}1" for name in [*POINTWISE, "pow"]}


def test_each_function_of_one_element_but_slopes_has_one_of_arrays():
    assert {n for n in jit.__all__ if n.endswith("1") and not n.endswith("_slope1")} <= set(OF_ONE.values())
    for name, function in POINTWISE.items():
        assert function is getattr(fk, name)
        assert function.__name__ == name  # pyright: ignore[reportAttributeAccessIssue]
        assert "x : (...) float32 or float64" in str(function.__doc__)
    assert len({function.__doc__ for function in POINTWISE.values()}) == len(POINTWISE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", POINTWISE)
def test_values(name, dtype, rng):
    x = (rng.uniform(0.001, 0.999, 77) if name == "logit" else rng.normal(0, 3, 77)).astype(dtype)
    x = np.abs(x) if name in POSITIVE else x
    want = ELEMENTS[name][0](x.astype(np.float64))
    # 3 ULP at most; in float64 also the plain form's own error, where its terms of size 1 cancel
    slack = 4e-16 if dtype == np.float64 else 0
    np.testing.assert_allclose(getattr(fk, name)(x), want, rtol=4 * float(np.finfo(dtype).eps), atol=slack)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers(dtype, rng):
    x, y = rng.uniform(0.1, 9, 10_001).astype(dtype), rng.normal(0, 3, 10_001).astype(dtype)
    close = {"rtol": 2 * float(np.finfo(dtype).eps), "atol": 0}
    np.testing.assert_allclose(fk.pow(x, y), np.power(x.astype(np.float64), y), **close)
    for number in (2, 0.3, dtype(0.3), np.array(0.3, dtype)):  # repeated, over a block of 8,192 and more
        wide = np.float64(dtype(number))
        np.testing.assert_allclose(fk.pow(x, number), np.power(x.astype(np.float64), wide), **close)
        np.testing.assert_allclose(fk.pow(number, y), np.power(wide, y.astype(np.float64)), **close)
        assert fk.pow(x, number).dtype == fk.pow(number, y).dtype == dtype
    turned = x[:10_000].reshape(100, 100).T
    np.testing.assert_array_equal(fk.pow(turned, turned), fk.pow(turned.copy(), turned.copy()))
    want = fk.pow(x[:-1], x[1:])
    assert fk.pow(x[:-1], x[1:], x[1:]).base is x
    np.testing.assert_array_equal(x[1:], want)
    y[:] = np.arange(len(y)) % 3
    want = fk.pow(y, y)
    assert fk.pow(y, y, y) is y
    np.testing.assert_array_equal(y, want)
    assert fk.pow(2, 3) == fk.pow(np.int8(2), np.int64(3)) == 8
    assert type(fk.pow(2.0, 3)) is np.float64
    assert type(fk.pow(dtype(2), 3)) is dtype
    assert fk.pow(np.ones((0, 3), dtype), 2).shape == (0, 3)
    with pytest.raises(ValueError, match=r"y has shape \(2,\), expected \(3,\) as x has, or a number"):
        fk.pow(np.ones(3, dtype), np.ones(2, dtype))


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


LAYOUTS = {
    "as it is": lambda x: x,
    "turned": lambda x: x.T,
    "permuted": lambda x: x.transpose(1, 2, 0),
    "a part": lambda x: x[1:, ::2, 3:],
    "backwards": lambda x: x[:, ::-1],
    "one column": lambda x: x[:, :, 1:2],
    "repeated": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "read-only": _read_only,
    "unaligned": _unaligned,
    "empty": lambda x: x[:0],
    "no dimension": lambda x: np.array(x[0, 0, 0]),
    "matrix": lambda x: np.asmatrix(x[0]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_any_order_of_memory_gives_the_same_bits(layout, dtype, rng):
    x = layout(rng.normal(size=(4, 6, 7)).astype(dtype))
    before, want = x.copy(), fk.exp(np.ascontiguousarray(x))
    result = fk.exp(x)
    assert type(result) is (dtype if x.ndim == 0 else np.ndarray)
    np.testing.assert_array_equal(result, want)
    outs = [np.empty(x.shape, dtype), np.empty(x.shape, dtype, order="F"), np.empty((*x.shape, 2), dtype)[..., 1]]
    outs += [np.zeros(x.T.shape, dtype).T, _unaligned(np.zeros(x.shape, dtype))]
    for out in outs:
        assert fk.exp(x, out) is out
        np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(x, before)
    same = x if x.flags.writeable else x.copy()
    assert fk.exp(same, same) is same
    np.testing.assert_array_equal(same, want)
    compiled: Any = _loop_over("exp")
    assert len(compiled.signatures) <= 2  # one a dtype, whatever the order


def test_a_result_lies_in_memory_as_its_argument():
    x = np.ones((3, 4, 5))
    for order in (x, x.T, x.transpose(1, 0, 2)):
        assert fk.tanh(order).strides == np.tanh(order).strides


OVERLAPS = {
    "shifted up": lambda x: (x[:-1], x[1:]),
    "shifted down": lambda x: (x[1:], x[:-1]),
    "reversed": lambda x: (x[::-1], x),
    "thinned": lambda x: (x[::2][:40], x[:40]),
    "turned": lambda x: (x[:81].reshape(9, 9).T, x[:81].reshape(9, 9)),
    "spread": lambda x: (x[:40], x[:80:2]),
}


@pytest.mark.parametrize("overlap", OVERLAPS.values(), ids=OVERLAPS)
def test_a_result_may_overlap_its_argument(overlap, rng):
    x, out = overlap(rng.normal(size=100).astype(np.float32))
    want = fk.exp(x.copy())
    fk.exp(x, out)
    np.testing.assert_array_equal(out, want)


def test_numbers_give_numbers():
    for x, kind in ((1.0, np.float64), (1, np.float64), (np.float32(1), np.float32), (np.float64(1), np.float64)):
        result = fk.exp(x)
        assert type(result) is kind
        assert result == pytest.approx(np.e, rel=1e-6)
    out = np.zeros((), np.float32)
    assert fk.exp(np.float32(0), out) is out
    assert out == 1
    assert np.isnan(fk.log(-1.0))
    wrongs: list[Any] = ["1", True, 1j, [1.0], None]
    for wrong in wrongs:
        with pytest.raises(TypeError, match=f"x must be a numpy array or a number, got {type(wrong).__name__}"):
            fk.exp(wrong)
    with pytest.raises(TypeError, match="x has dtype int64, allowed is float32 or float64: convert"):
        fk.exp(np.arange(3))
    with pytest.raises(ValueError, match=r"x is about 10\*\*400, allowed is a number of float64"):
        fk.exp(10**400)


@pytest.mark.parametrize("dtype", DTYPES)
def test_edges_are_those_of_numpy_and_nothing_is_written_outside(dtype):
    x = edge_floats(dtype)
    with np.errstate(all="ignore"):
        for function, theirs in ((fk.exp, np.exp), (fk.log, np.log), (fk.cos, np.cos), (fk.expm1, np.expm1)):
            with fenced(x, x) as (source, out):
                function(source, out)
                want = theirs(x.astype(np.float64)).astype(dtype)
                # float64's smallest steps are 5e-324 wide, float32's 1.4e-45
                tiny = 2 * float(np.finfo(dtype).smallest_subnormal)
                np.testing.assert_allclose(out, want, rtol=3 * float(np.finfo(dtype).eps), atol=tiny)
