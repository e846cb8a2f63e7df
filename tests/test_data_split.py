import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.data import split_indices
from fastmlp.errors import ConfigError


@given(n=st.integers(2, 300), fraction=st.floats(0.01, 0.99))
def test_parts_are_disjoint_and_complete(n, fraction):
    if not 0 < round(n * fraction) < n:
        return
    train, validation = split_indices(n, fraction, np.random.default_rng(0))
    assert train.dtype == validation.dtype == np.int64
    assert len(validation) == round(n * fraction)
    assert sorted([*train, *validation]) == list(range(n))


def test_the_report_split_is_40_000_and_10_000(rng):
    train, validation = split_indices(50_000, 0.2, rng)
    assert (len(train), len(validation)) == (40_000, 10_000)


def test_one_seed_one_split():
    first, again, other = (split_indices(100, 0.2, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, np.sort(first))


@pytest.mark.parametrize(
    ("n", "fraction"), [(10, 0.0), (10, 1.0), (10, -0.1), (10, 1.5), (1, 0.2), (0, 0.2), (10, 0.01)]
)
def test_an_empty_part_is_an_error(n, fraction, rng):
    with pytest.raises(ConfigError, match=f"leaves one part of {n} rows empty"):
        split_indices(n, fraction, rng)


@given(
    groups=st.lists(st.integers(0, 9), min_size=4, max_size=80), fraction=st.floats(0.05, 0.9), seed=st.integers(0, 99)
)
def test_a_group_is_never_split_and_the_parts_are_as_near_as_its_sizes_allow(groups, fraction, seed):
    n, groups = len(groups), np.array(groups)
    if len(set(groups)) < 2 or not 0 < round(n * fraction) < n:
        return
    train, validation = split_indices(n, fraction, np.random.default_rng(seed), groups)
    assert sorted([*train, *validation]) == list(range(n))
    assert len(train) > 0
    assert len(validation) > 0
    assert not set(groups[train]) & set(groups[validation])
    assert abs(len(validation) - round(n * fraction)) <= np.bincount(groups).max()


def test_one_group_cannot_be_split(rng):
    with pytest.raises(ConfigError, match="All rows are of one group"):
        split_indices(10, 0.2, rng, np.zeros(10, np.int64))
