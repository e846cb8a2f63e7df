"""The split of rows into parts and folds: sizes, shares of classes, whole groups, order, and impossible demands."""

from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastmlp.data.splits import Split, folds, split_rows
from fastmlp.errors import ConfigError, DataError

SHARES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.4])


def check_whole(split: Split, n: int) -> None:
    for part in split:
        assert part.dtype == np.int64
        assert np.array_equal(part, np.sort(part))
    assert sorted(np.concatenate([*split]).tolist()) == list(range(n))


@given(n=st.integers(10, 300), test=SHARES, validation=SHARES, seed=st.integers(0, 5))
def test_parts_at_random_have_the_sizes_that_were_asked_for(n: int, test: float, validation: float, seed: int) -> None:
    split = split_rows(n, test=test, validation=validation, seed=seed)
    check_whole(split, n)
    assert len(split.test) == round(test * n)
    assert len(split.validation) == round(validation * (n - len(split.test)))
    assert f"{len(split.train):,} for training" in split.words
    assert ("for test" in split.words) == bool(test)


def test_a_split_is_three_arrays_and_a_sentence() -> None:
    train, validation, test = split = split_rows(1000)
    assert (len(train), len(validation), len(test)) == (640, 160, 200)
    assert train is split.train
    assert split.words == ("1,000 rows, split at random, seed 0: 640 for training, 160 for validation, 200 for test.")
    train, validation, test = split_rows(1000, test=50, validation=np.int64(7))  # type: ignore[arg-type]
    assert (len(train), len(validation), len(test)) == (943, 7, 50)


@pytest.mark.parametrize("by", [{}, {"strata": np.arange(300) % 7}, {"groups": np.arange(300) // 5}])
def test_one_seed_is_one_split_and_another_seed_another(by: dict[str, Any]) -> None:
    first, again, other = (split_rows(300, seed=seed, **by) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first.test, other.test)
    once, twice = folds(300, 3, seed=1, **by), folds(300, 3, seed=1, **by)
    assert all(np.array_equal(a.train, b.train) for a, b in zip(once, twice, strict=True))


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    test=SHARES,
    validation=SHARES,
    seed=st.integers(0, 5),
)
def test_classes_have_the_same_shares_of_each_part(
    counts: list[int], test: float, validation: float, seed: int
) -> None:
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n, shared = len(classes), sum(count for count in counts if count > 1)
    assume(shared >= 20)
    split = split_rows(n, test=test, validation=validation, seed=seed, strata=classes)
    check_whole(split, n)
    assert len(split.test) == round(round(test * n) * shared / n)
    capped = any(count > 1 and (1 - test) * (1 - validation) * count < 1 for count in counts)
    for k, count in enumerate(counts):
        train, _, tested = (int(np.sum(classes[part] == k)) for part in split)
        assert train >= 1
        if count == 1:
            assert tested == 0
        elif not capped:
            held = len(split.test) + len(split.validation)
            assert abs((count - train) - held * count / shared) < 1 + 1e-9
            assert abs(tested - len(split.test) * count / shared) < 2
    single = counts.count(1)
    assert ("a single row, always for training" in split.words) == (single > 0)


def test_the_rest_of_equal_classes_goes_by_lot() -> None:
    classes = np.arange(40) % 10  # four rows each, eight for the test
    without = [set(range(10)) - set(classes[split_rows(40, seed=s, strata=classes).test].tolist()) for s in range(20)]
    assert {len(some) for some in without} == {2}
    assert set.union(*without) == set(range(10))


def test_very_many_classes_of_two_rows_are_split() -> None:
    classes = np.concatenate([np.arange(50_000), np.arange(50_000), np.full(100_000, 50_000)])
    split = split_rows(len(classes), test=0.4, validation=0.5, strata=classes)
    check_whole(split, len(classes))
    assert len(split.test) == 80_000
    assert set(classes[split.train].tolist()) == set(range(50_001))


def test_classes_may_have_names_and_numbers_are_taken_by_ranges() -> None:
    names = np.array(["yes", "no", "no", "no", "no"] * 20)
    assert Counter(names[split_rows(100, strata=names).test].tolist()) == {"yes": 4, "no": 16}
    numbers = np.random.default_rng(0).lognormal(size=1000)
    split = split_rows(1000, strata=numbers)
    assert "with the same shares of each of 10 ranges of the target" in split.words
    ranks = np.argsort(np.argsort(numbers))
    assert np.bincount(ranks[split.test] // 100).tolist() == [20] * 10
    assert "at random, seed" in split_rows(15, strata=numbers[:15]).words
    constant = split_rows(100, strata=np.full(100, np.inf))
    assert len(constant.test) == 20
    half_zero = np.where(numbers > 1, numbers, 0.0)
    assert abs(np.mean(half_zero[split_rows(1000, strata=half_zero).test] == 0) - np.mean(half_zero == 0)) < 0.01


@given(
    counts=st.lists(st.integers(1, 30), min_size=3, max_size=40),
    test=SHARES.filter(bool),
    validation=SHARES.filter(bool),
    seed=st.integers(0, 5),
)
def test_no_group_is_in_two_parts(counts: list[int], test: float, validation: float, seed: int) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(groups)
    assume(round(test * n) and round(validation * (n - round(test * n))))
    split = split_rows(n, test=test, validation=validation, seed=seed, groups=groups)
    check_whole(split, n)
    parts = [set(groups[part].tolist()) for part in split]
    assert all(parts)
    assert sum(map(len, parts)) == len(counts)
    if len(counts) > 3:
        assert abs(len(split.test) - round(test * n)) <= max(counts) + 1


def test_groups_of_one_size_give_the_sizes_exactly_and_may_have_names() -> None:
    groups = np.array([f"patient {i // 10}" for i in range(1000)])
    split = split_rows(1000, groups=groups)
    assert [len(part) for part in split] == [640, 160, 200]
    assert "by whole groups, 100 of them, seed 0" in split.words
    large = np.repeat(np.arange(4), [900, 40, 40, 20])  # one group is nearly all: the others still make the parts
    assert [len(part) > 0 for part in split_rows(1000, groups=large)] == [True] * 3


@given(values=st.lists(st.integers(0, 20), min_size=10, max_size=200), test=SHARES, validation=SHARES)
def test_the_last_rows_of_an_order_are_the_test(values: list[int], test: float, validation: float) -> None:
    n, asked = len(values), 1 + bool(test) + bool(validation)
    assume(len(set(values)) >= asked)
    assume(validation == 0 or round(validation * (n - round(test * n))))
    split = split_rows(n, test=test, validation=validation, order=values)
    check_whole(split, n)
    parts = [np.array(values)[part] for part in split if len(part)]
    assert len(parts) == asked
    assert all(before.max() < after.min() for before, after in pairwise(parts))


def test_an_order_may_be_of_dates_and_ties_stay_together() -> None:
    days = np.array(["2026-01-01"], "datetime64[D]") + np.arange(100)[::-1]
    _, validation, test = split_rows(100, order=days)
    assert test.tolist() == list(range(20))
    assert validation.tolist() == list(range(20, 36))
    years = [date(2020 + i // 30, 1, 1) for i in range(100)]  # 30, 30, 30 and 10 rows
    split = split_rows(100, validation=0, order=np.array(years, dtype=object))
    assert len(split.test) == 10  # nearer to 20 than 40 rows; equally near, the later
    assert split.words.endswith("90 for training, 10 for test. Rows of one value of the order are in one part.")


@given(n=st.integers(10, 200), k=st.integers(2, 8), seed=st.integers(0, 3))
def test_folds_test_each_row_once(n: int, k: int, seed: int) -> None:
    made = folds(n, k, seed=seed)
    for split in made:
        check_whole(split, n)
        assert len(split.validation) == round(0.2 * (n - len(split.test)))
    assert sorted(np.concatenate([split.test for split in made]).tolist()) == list(range(n))
    sizes = [len(split.test) for split in made]
    assert max(sizes) - min(sizes) <= 1


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=8), k=st.integers(2, 6), seed=st.integers(0, 3))
def test_folds_have_the_same_shares_of_each_class(counts: list[int], k: int, seed: int) -> None:
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    shared = sum(count for count in counts if count > 1)
    assume(shared >= 6 * k)
    made = folds(len(classes), k, seed=seed, strata=classes)
    tested = np.concatenate([split.test for split in made])
    assert len(tested) == len(set(tested.tolist())) == shared
    for one, count in enumerate(counts):
        sizes = [int(np.sum(classes[split.test] == one)) for split in made]
        assert max(sizes) - min(sizes) <= 1
        assert count > 1 or sum(sizes) == 0
        assert all(one in classes[split.train] for split in made)


def test_folds_of_groups_and_of_an_order() -> None:
    groups = np.arange(100) // 4
    made = folds(100, 5, groups=groups)
    assert sorted(np.concatenate([split.test for split in made]).tolist()) == list(range(100))
    for split in made:
        check_whole(split, 100)
        parts = [set(groups[part].tolist()) for part in split]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 25
        assert len(split.test) == 20
    timed = folds(120, 5, order=np.arange(120))
    assert [split.test[[0, -1]].tolist() for split in timed] == [[20 * i, 20 * i + 19] for i in range(1, 6)]
    for split in timed:
        assert split.train.max() < split.validation.min() <= split.validation.max() < split.test.min()
        assert len(split.validation) == round(0.2 * split.test.min())
    assert timed[1].words.startswith("Fold 2 of 5 of 120 rows, split by their order, the last for the test: 32 for")


@pytest.mark.parametrize(
    ("n", "given_", "words"),
    [
        (10, {"test": 1.0}, "allowed is a share from 0 to below 1"),
        (10, {"test": -0.1}, "allowed is a share"),
        (10, {"test": -1}, "allowed is a share"),
        (10, {"test": True}, "allowed is a share"),
        (10, {"test": float("nan")}, "allowed is a share"),
        (10, {"validation": "0.2"}, "validation is '0.2'"),
        (10, {"test": 0.01}, "A test share of 0.01 leaves that part of 10 rows empty"),
        (10, {"test": 5, "validation": 5}, "5 rows for test and 5 for validation leave none of 10 for training"),
        (1, {"test": 0.6, "validation": 0}, "leave none of 1 for training"),
        (10, {"test": 11, "validation": 0}, "leave none"),
        (10, {"seed": -1}, "seed is -1"),
        (10, {"strata": np.arange(10)}, "The validation part would be empty"),
        (10, {"groups": np.arange(10) // 5}, "10 rows of 2 groups cannot be split into 3 parts"),
        (10, {"order": np.zeros(10)}, "10 rows of 1 value cannot be split into 3 parts"),
        (10, {"order": np.zeros(10), "groups": np.zeros(10)}, "given are groups and order"),
    ],
)
def test_an_impossible_split_is_an_error_that_says_what_to_do(n: int, given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        split_rows(n, **given_)


@pytest.mark.parametrize(
    ("n", "k", "given_", "words"),
    [
        (10, 1, {}, "folds is 1; allowed is a whole number from 2"),
        (10, 11, {}, "folds is 11"),
        (10, 2.0, {}, "folds is 2.0"),
        (10, 3, {"groups": np.arange(10) // 5}, "10 rows of 2 groups make at most 2 folds"),
        (10, 2, {"groups": np.arange(10) // 5}, "10 rows|5 rows of 1 group cannot be split into 2 parts"),
        (10, 2, {"order": np.arange(10) // 5}, "make at most 1 folds"),
        (10, 3, {"validation": 0, "strata": [*range(8), 8, 8]}, "leave a fold or its training part empty"),
        (4, 2, {"validation": 2}, "0 rows for test and 2 for validation leave none of 2"),
    ],
)
def test_impossible_folds_are_an_error(n: int, k: Any, given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        folds(n, k, **given_)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(9), "has the shape"),
        (np.zeros((10, 1)), "has the shape"),
        ([[1], *[2] * 9], "do not compare"),
        ([1.0, np.nan] * 5, "is missing in 5 of 10 rows"),
        ([1, "a", None] * 3 + [1], "is missing in 3 of 10 rows"),
        (np.array([1, "a"] * 5, dtype=object), "do not compare"),
        (np.array(["2026-01-01", "NaT"] * 5, "datetime64[D]"), "is missing in 5 of 10 rows"),
    ],
)
@pytest.mark.parametrize("name", ["strata", "groups", "order"])
def test_arrays_without_an_order_are_an_error(name: str, values: Any, words: str) -> None:
    for function in (split_rows, folds):
        with pytest.raises(DataError, match=f"{name}.*{words}"):
            function(10, *[2] * (function is folds), **{name: values})


@pytest.mark.parametrize("n", [0, -1, 2.0, None])
def test_a_number_of_rows_that_is_none_is_an_error(n: Any) -> None:
    with pytest.raises(DataError, match="rows to split"):
        split_rows(n)


def test_columns_of_pandas_are_taken() -> None:
    pandas = pytest.importorskip("pandas")
    assert len(split_rows(10, strata=pandas.Series(list("ababababab"))).test) == 2
    with pytest.raises(DataError, match=r"missing in 1 of 10 rows|do not compare"):
        split_rows(10, groups=pandas.Series([*"abababab", "a", None]))
