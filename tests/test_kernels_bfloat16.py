"""Rounding to bfloat16 over all that a float32 can be, and the word about slow CPUs."""

import warnings

import numpy as np
import pytest

from arrays import fenced
from fastmlp_kernels import bfloat16
from fastmlp_kernels.bfloat16 import round_to_bfloat16


def rounded(x):
    with fenced(x, np.full_like(x, np.nan)) as (same, out):
        round_to_bfloat16(same, out)
        np.testing.assert_array_equal(same.view(np.uint32), x.view(np.uint32))
    return out


def every_kind_of_float():
    """Return each upper half with the lower halves at its ends and around the tie: 7 times 2^16."""
    upper = np.arange(1 << 16, dtype=np.uint32)[:, None] << np.uint32(16)
    return (upper | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF], np.uint32)).ravel().view(np.float32)


def magnitude(bits):
    """Return |x| in float64, exact; infinity counts as the power of two that follows the largest number."""
    x = np.abs(bits.view(np.float32).astype(np.float64))
    return np.where(np.isinf(x), 2.0**128, x)


def test_each_number_becomes_the_nearest_bfloat16_or_the_even_one_of_two():
    x = every_kind_of_float()
    x = x[np.isfinite(x)]
    below = x.view(np.uint32) & np.uint32(0xFFFF0000)  # towards zero
    above = below + np.uint32(0x10000)
    middle = (magnitude(below) + magnitude(above)) / 2
    even = np.where(below >> np.uint32(16) & 1, above, below)
    nearest = np.where(np.abs(x) < middle, below, np.where(np.abs(x) > middle, above, even))
    np.testing.assert_array_equal(rounded(x).view(np.uint32), nearest)


def test_bits_of_what_is_no_number_or_hardly_one():
    smallest = np.finfo(np.float32).smallest_subnormal
    cases = {
        0x7F800000: 0x7F80, 0xFF800000: 0xFF80,  # infinities
        0x7F7FFFFF: 0x7F80, 0x7F7F8000: 0x7F80, 0x7F7F7FFF: 0x7F7F,  # beyond and below the middle to infinity
        0x00000000: 0x0000, 0x80000000: 0x8000,  # zeros keep their signs
        int(smallest.view(np.uint32)): 0x0000, 0x00008000: 0x0000, 0x00008001: 0x0001, 0x00018000: 0x0002,
        0x7F800001: 0x7FC0, 0xFFBFFFFF: 0xFFFF, 0x7FFFFFFF: 0x7FFF, 0x7FC12345: 0x7FC1,  # NaN, the first signalling
    }  # fmt: skip
    got = rounded(np.array(list(cases), np.uint32).view(np.float32)).view(np.uint32)
    assert [hex(bits >> 16) for bits in got] == [hex(bits) for bits in cases.values()]
    assert not (got & 0xFFFF).any()


def test_nan_stays_nan_whatever_its_payload():
    x = every_kind_of_float()
    got = rounded(x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(x))
    np.testing.assert_array_equal(np.signbit(got), np.signbit(x))


def test_any_length_and_shape(rng):
    for count in [*range(70), 1000]:  # whole vectors, what is left, and nothing at all
        x = rng.standard_normal(count).astype(np.float32)
        got = rounded(x)
        assert not (got.view(np.uint32) & 0xFFFF).any()
        assert (np.abs(got - x) <= 2.0**-8 * np.abs(x)).all()
    for shape in ((), (3, 5), (2, 3, 4), (0, 4)):
        x = np.full(shape, np.float32(1 + 2**-9))
        np.testing.assert_array_equal(rounded(x), np.ones(shape))


def test_what_is_rounded_stays(rng):
    once = rounded(rng.standard_normal(1000).astype(np.float32))
    np.testing.assert_array_equal(rounded(once), once)


def test_wrong_arguments_are_refused():
    x = np.ones((4, 4), np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    wrong = [
        (x.tolist(), x, TypeError, "x must be a numpy array"),
        (x.astype(np.float64), x, TypeError, "x has dtype float64, allowed is float32"),
        (x, x.astype(np.float64), TypeError, "out has dtype float64"),
        (x, np.ones(16, np.float32), ValueError, r"out has shape \(16,\), expected \(4, 4\)"),
        (x.T, x.copy(), ValueError, "x is not C-contiguous"),
        (x[:, ::2], np.ones((4, 2), np.float32), ValueError, "x is not C-contiguous"),
        (x, frozen, ValueError, "out is read-only"),
        (x, x, ValueError, "x and out overlap"),
    ]
    for given, out, error, message in wrong:
        with pytest.raises(error, match=message):
            round_to_bfloat16(given, out)
    round_to_bfloat16(frozen, x)  # to read it is enough


@pytest.fixture
def unwarned():
    bfloat16.warn_where_slow.cache_clear()
    yield
    bfloat16.warn_where_slow.cache_clear()


@pytest.mark.usefixtures("unwarned")
def test_a_cpu_without_bfloat16_is_told_of_once(monkeypatch):
    monkeypatch.setattr(bfloat16, "BFLOAT16_IN_HARDWARE", False)
    with pytest.warns(RuntimeWarning, match="no bfloat16 instructions .* slower than float32"):
        bfloat16.warn_where_slow()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bfloat16.warn_where_slow()


@pytest.mark.usefixtures("unwarned")
def test_a_cpu_with_bfloat16_says_nothing(monkeypatch):
    monkeypatch.setattr(bfloat16, "BFLOAT16_IN_HARDWARE", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bfloat16.warn_where_slow()
