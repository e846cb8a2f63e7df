"""softmax, log_softmax and logsumexp against 150-digit arithmetic and the float64 reference; infinities and NaN."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastmlp_kernels as fk
from arrays import SHAPES, assert_within, fenced, normal
from fastmlp import reference
from fastmlp_kernels.log_sum import SHORT, TURNED

inf, nan = np.inf, np.nan
DTYPES = [np.float32, np.float64]


def exact(row):
    """(logsumexp, log_softmax, softmax) of the floats in a row, computed with 150 digits and rounded to float64."""
    with localcontext(prec=150):  # 1 + exp(-150) takes more than 65 digits
        x = [Decimal(float(value)) for value in row]
        log = sum(((value - max(x)).exp() for value in x), Decimal(0)).ln()
        logs = [value - max(x) - log for value in x]
        return float(max(x) + log), np.array([float(p) for p in logs]), np.array([float(p.exp()) for p in logs])


def relative_error(x):
    """How far the sum of exponentials may be off, for each row.

    exp is within an ULP, x - max rounds by half an ULP, which the exponential turns into as much of its own value as
    the difference is large; terms below exp(-104) do not count. A piece of 1024 elements is added up in 8 lanes or
    more (float32), or in pairs of lanes (float64), so that none goes through more than a quarter of the additions.
    """
    spread = np.minimum(x.max(-1) - x.min(-1), 104).astype(np.float64)
    return float(np.finfo(x.dtype).eps) * (2 + spread / 2 + min(x.shape[-1], 1024) / 4)


def assert_accurate(x, want_log, want_logs, want_softmax):
    eps = float(np.finfo(x.dtype).eps)
    off, top = relative_error(x), x.max(-1).astype(np.float64)
    tiny = float(np.finfo(x.dtype).smallest_subnormal)  # exponentials below the normal numbers are multiples of it
    lost = tiny * x.shape[-1]
    # the largest is added in float64; an error of the sum is damped by the logarithm: s / (1 + s) <= log(1 + s)
    assert_within(
        fk.logsumexp(x), want_log, eps * np.abs(want_log) + 2**-51 * np.abs(top) + off * -want_logs.max(-1) + lost
    )
    # two terms of one sign, so that nothing cancels
    assert_within(fk.log_softmax(x), want_logs, (2 * eps + off[..., None]) * np.abs(want_logs) + lost)
    assert_within(fk.softmax(x), want_softmax, (3 * eps + 2 * off[..., None]) * want_softmax + 2 * tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 20, 67])
def test_rows_equal_150_digit_arithmetic(dtype, classes, rng):
    for scale in (1e-3, 1, 30):
        x = normal(rng, (6, classes), dtype, scale)
        x[-1] = x[-1, 0]  # all equal
        log, logs, softmax = (np.array(values) for values in zip(*map(exact, x), strict=True))
        assert_accurate(x, log, logs, softmax)


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_equals_the_reference(shape, rng):
    x = normal(rng, shape, np.float32, 5)
    wide = x.astype(np.float64)
    assert_accurate(x, reference.logsumexp(wide), reference.log_softmax(wide), reference.softmax(wide))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("less", [1.0, 16.0, 17.0, 40.0, 80.0])
def test_what_one_class_dominates_keeps_the_others_share(dtype, less):
    """The differences are exact here, so that only exp, log1p and rounding are left: 2 ULP of the small value."""
    x = np.array([0, -less], dtype)
    want, eps = np.log1p(np.exp(-less)), float(np.finfo(dtype).eps)
    assert fk.logsumexp(x) == pytest.approx(want, rel=2 * eps, abs=0)
    np.testing.assert_allclose(fk.log_softmax(x), [-want, -less - want], rtol=2 * eps, atol=0)
    many = np.full(100_001, -less, dtype)
    many[77] = 0
    # 1024 equal terms at a time, then in float64: as `relative_error`
    assert fk.logsumexp(many) == pytest.approx(np.log1p(1e5 * np.exp(-less)), rel=260 * eps, abs=0)


@pytest.mark.parametrize("less", [0.1, 1.0, 3.7])
def test_ten_million_elements_do_not_drift(less):
    x = np.full(10_000_000, -less, np.float32)
    x[77] = 0
    share = (x.size - 1) * np.exp(np.float64(x[0]))
    assert fk.logsumexp(x) == pytest.approx(np.log1p(share), rel=1e-6)
    assert fk.log_softmax(x, x)[77] == pytest.approx(-np.log1p(share), rel=1e-6)
    x[:] = -np.float32(less)
    x[77] = 0
    assert fk.softmax(x, x)[77] == pytest.approx(1 / (1 + share), rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("row", "log", "logs", "softmax"),
    [
        ([-inf, -inf], -inf, [nan, nan], [nan, nan]),
        ([inf, 0], inf, [nan, -inf], [nan, nan]),
        ([inf, inf, 1], inf, [nan, nan, -inf], [nan, nan, nan]),
        ([inf, -inf], inf, [nan, -inf], [nan, nan]),
        ([-inf, 2], 2, [-inf, 0], [0, 1]),
        ([-inf, 0, 0], np.log(2), [-inf, -np.log(2), -np.log(2)], [0, 0.5, 0.5]),
        ([nan, 0], nan, [nan, nan], [nan, nan]),
        ([3, -nan, 0], nan, [nan] * 3, [nan] * 3),
        ([inf, -nan], nan, [nan, nan], [nan, nan]),
        ([-inf, nan], nan, [nan, nan], [nan, nan]),
        ([7], 7, [0], [1]),
        ([1e4, -1e4], 1e4, [0, -2e4], [1, 0]),
        ([0, -0.0], np.log(2), [-np.log(2), -np.log(2)], [0.5, 0.5]),
    ],
)  # fmt: skip
def test_infinities_and_nan_give_what_scipy_gives(dtype, row, log, logs, softmax):
    x = np.array([row, np.zeros(len(row))], dtype)  # a NaN stays in its row
    tolerance = {"rtol": 4 * float(np.finfo(dtype).eps), "atol": 0}
    np.testing.assert_allclose(fk.logsumexp(x)[0], log, **tolerance)
    np.testing.assert_allclose(fk.log_softmax(x)[0], logs, **tolerance)
    np.testing.assert_allclose(fk.softmax(x)[0], softmax, **tolerance)
    np.testing.assert_allclose(fk.softmax(x)[1], 1 / len(row), **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4), (2, 3, 4), (2, 1, 3, 5), (0, 3), (2, 0, 3)])
def test_any_number_of_dimensions_with_and_without_out(dtype, shape, rng):
    x = normal(rng, shape, dtype)
    first = x.copy()
    for function, of_out in ((fk.softmax, shape), (fk.log_softmax, shape), (fk.logsumexp, shape[:-1])):
        result = function(x)
        assert result.shape == of_out
        assert result.dtype == dtype
        with fenced(np.zeros(of_out, dtype)) as (out,):
            assert function(x, out=out) is out
            np.testing.assert_array_equal(out, result)
        np.testing.assert_array_equal(x, first)
    for function in (fk.softmax, fk.log_softmax):
        want, same = function(x), x.copy()
        assert function(same, same) is same
        np.testing.assert_array_equal(same, want)
    assert isinstance(fk.logsumexp(np.zeros(3, dtype)), dtype)  # a scalar, as numpy's reductions


@pytest.mark.parametrize("function", [fk.softmax, fk.log_softmax, fk.logsumexp])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_nothing_along_the_last_axis_is_refused(function, shape):
    with pytest.raises(ValueError, match=r"x has shape \(.*\), expected at least one element along the last axis"):
        function(np.zeros(shape))


# Other axes: columns fewer than a vector, as many as a run, more; rows fewer than a group of sums, and many more.
COLUMNS = [((5, 3), 0), ((1, 4), 0), ((700, 20), 0), ((20_000, 3), 0), ((40, 513), 0), ((3, 1100), 0), ((1500, 600), 0)]
COLUMNS += [
    ((2, 3, 4), 1),
    ((2, 3, 4), -3),
    ((4, 70, 65), -2),
    ((2, 3, 4, 5), 2),
    ((6, 1, 3), 1),
    ((3, 5, 1), 1),
    ((2, 0), 0),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), COLUMNS)
def test_any_axis_equals_the_last_of_the_turned_array(shape, axis, dtype, rng):
    x = normal(rng, shape, dtype, 5)
    turned = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    eps, first = float(np.finfo(dtype).eps), x.copy()
    most = eps * (18 + min(shape[axis], 1024) / 4)  # twice as `relative_error` without the spread, which is the same
    for function in (fk.softmax, fk.log_softmax, fk.logsumexp):
        want = function(turned)
        want = want if function is fk.logsumexp else np.moveaxis(want, -1, axis)
        result = function(x, axis=axis)
        assert result.shape == want.shape
        assert result.dtype == dtype
        np.testing.assert_allclose(result, want, rtol=most, atol=eps if function is fk.logsumexp else 1e-44)
        with fenced(np.zeros(want.shape, dtype)) as (out,):
            assert function(x, out, axis) is out
            np.testing.assert_array_equal(out, result)
        np.testing.assert_array_equal(x, first)
    for function in (fk.softmax, fk.log_softmax):
        want, same = function(x, axis=axis), x.copy()
        assert function(same, same, axis) is same
        np.testing.assert_array_equal(same, want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan_down_columns_are_as_along_rows(dtype):
    some = [inf, -inf, nan, -nan, 0.0, -40.0, 1e30]
    x = np.array([(a, b, c) for a in some for b in some for c in some], dtype)
    for columns in (x.T, np.repeat(x, 500, axis=1).T):  # fewer than a group, and all three values in many groups
        columns = np.ascontiguousarray(columns)
        for function in (fk.softmax, fk.log_softmax, fk.logsumexp):
            want = function(np.ascontiguousarray(columns.T)).T
            tolerance = {"rtol": 600 * float(np.finfo(dtype).eps), "atol": 0}
            np.testing.assert_allclose(function(columns, axis=0), want, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_one_class_dominates_keeps_the_others_share_down_columns(dtype):
    for many, less in ((1, 40.0), (1, 80.0), (100_000, 40.0)):
        x = np.full((many + 1, 3), -less, dtype)
        x[many // 2] = 0
        want, eps = np.log1p(many * np.exp(-less)), float(np.finfo(dtype).eps)
        np.testing.assert_allclose(fk.logsumexp(x, axis=0), np.full(3, want), rtol=260 * eps, atol=0)
        np.testing.assert_allclose(fk.log_softmax(x, axis=0)[many // 2], np.full(3, -want), rtol=260 * eps, atol=0)


def test_a_million_rows_do_not_drift():
    x = np.full((1_000_000, 3), -0.1, np.float32)
    x[77] = 0
    share = (len(x) - 1) * np.exp(np.float64(x[0, 0]))
    np.testing.assert_allclose(fk.logsumexp(x, axis=0), np.full(3, np.log1p(share)), rtol=1e-6)
    np.testing.assert_allclose(fk.softmax(x, x, 0)[77], np.full(3, 1 / (1 + share)), rtol=1e-6)


@pytest.mark.parametrize("function", [fk.softmax, fk.log_softmax, fk.logsumexp])
def test_an_axis_that_is_not_there_is_told_with_those_that_are(function):
    for axis in (2, -3):
        with pytest.raises(ValueError, match=rf"axis is {axis}, allowed is -2 to 1 as x has shape \(2, 3\)"):
            function(np.ones((2, 3)), axis=axis)
    with pytest.raises(TypeError, match=r"axis is 0.0, allowed is a whole number"):
        function(np.ones((2, 3)), axis=0.0)
    with pytest.raises(ValueError, match=r"x has shape \(0, 3\), expected at least one element along axis 0"):
        function(np.ones((0, 3)), axis=0)


@given(hnp.arrays(np.float32, (3, 7), elements=st.floats(-1e3, 1e3, width=32)), st.floats(-100, 100, width=32))
def test_a_shift_of_all_elements_shifts_the_logarithm_alone(x, shift):
    x = x.astype(np.float64)
    np.testing.assert_allclose(fk.logsumexp(x + shift), fk.logsumexp(x) + shift, rtol=1e-14, atol=1e-12)
    # An element and the largest one may both be rounded by the shift, each by half of 1,100 * 2^-52.
    np.testing.assert_allclose(fk.softmax(x + shift), fk.softmax(x), rtol=3e-13, atol=0)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_of_numpys_own_kind_is_taken_along_each_axis():
    x = np.arange(6.0).reshape(2, 3)
    for function in (fk.softmax, fk.log_softmax, fk.logsumexp):
        for axis in (0, 1):
            np.testing.assert_array_equal(function(np.asmatrix(x), axis=axis), function(x, axis=axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 7, 8, SHORT - 1, SHORT, SHORT + 1])
def test_a_row_has_the_same_logarithms_alone_and_among_many(dtype, classes, rng):
    count = 2 * (TURNED // classes) + 3  # short rows are turned in blocks: the last one is not full
    x = normal(rng, (count, classes), dtype, 3)
    odd = [inf, -inf, nan, -nan, 0.0, -0.0]
    for at in (0, 7, TURNED // classes, count - 1):
        x[at, rng.integers(classes)] = odd[rng.integers(len(odd))]
    x[count // 2], x[5] = -inf, 1.5
    with fenced(x) as (own,):
        alone = np.concatenate([fk.log_softmax(row[None]) for row in x[:40]])
        fk.log_softmax(own, own)
    np.testing.assert_array_equal(own[:40], alone)
    np.testing.assert_array_equal(own, fk.log_softmax(x))
    finite = np.isfinite(x).all(-1)
    np.testing.assert_allclose(own[finite], np.log(fk.softmax(x[finite].astype(np.float64))), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(np.isnan(own[~finite]), np.isnan(reference_logs(x[~finite])))


def reference_logs(x):
    """Return the logarithms of rows with infinities or NaN, as far as these tell."""
    out = np.where(np.isposinf(x), nan, -inf)
    out[np.isnan(x).any(-1) | np.isneginf(x).all(-1)] = nan
    keeps = ~np.isnan(x).any(-1) & ~np.isposinf(x).any(-1) & np.isfinite(x).any(-1)
    out[keeps] = 0
    return out
