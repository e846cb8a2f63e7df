"""Means and deviations of some rows of an array are those of an array of these rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastmlp.nn.moments import BLOCK, Moments

X = arrays.arrays(np.float64, (12, 3), elements=st.floats(-1e9, 1e9))


@given(x=X, rows=st.lists(st.integers(0, 11), min_size=1, max_size=30))
def test_some_rows_are_as_an_array_of_them(x: np.ndarray, rows: list[int]) -> None:
    some, whole = Moments.of(x, None, np.array(rows)), Moments.of(x[rows])
    np.testing.assert_array_equal(some.means, whole.means)
    np.testing.assert_array_equal(some.deviations, whole.deviations)
    np.testing.assert_array_equal(whole.standardised(x, np.array(rows)), whole.standardised(x[rows]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_blocks_of_rows_are_standardised_in_a_dtype_of_choice(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = (1e6 + rng.normal(size=(3 * BLOCK + 7, 4))).astype("float32")
    rows = rng.permutation(len(x))[: 2 * BLOCK + 5]
    z = Moments.of(x, None, rows).standardised(x, rows, dtype)
    assert z.dtype == dtype
    np.testing.assert_allclose(z.astype(float).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.astype(float).std(axis=0), 1, rtol=1e-6)
