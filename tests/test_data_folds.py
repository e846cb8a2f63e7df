"""The data of a cross-validation: each row is tested once, and a fold learns nothing of the rows that test it."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.data import Dataset
from fastmlp.data import folds as module
from fastmlp.data.folds import Folds, joined
from fastmlp.data.mapped import read_mapped, write_mapped
from fastmlp.data.own import Own, load_understood
from fastmlp.data.splits import about_folds, folds
from fastmlp.errors import ConfigError, DataError
from own import features

TOWNS = ["oslo", "rome", "rare"]


def table(rows: int = 60, **changes: Any) -> dict[str, Any]:
    """Columns of a table: one town is in a single row, and some numbers are missing."""
    rng = np.random.default_rng(2)
    pay: list[float | None] = rng.normal(50, 9, rows).tolist()
    pay[5] = None
    towns = [TOWNS[2] if i == 17 else TOWNS[i % 2] for i in range(rows)]
    columns = {"pay": pay, "age": np.arange(rows), "town": towns, "house": np.arange(rows) // 4,
               "rich": ["yes" if i % 3 else "no" for i in range(rows)]}  # fmt: skip
    return columns | changes


def loaded(columns: dict[str, Any], **asked: Any) -> Any:
    pytest.importorskip("polars")
    fields: dict[str, Any] = {"target": ("rich",)} | asked
    return load_understood(Own(data="data", **fields), data=columns)


def same(one: Dataset, other: Dataset) -> bool:
    pairs = zip(one.parts(), other.parts(), strict=True)
    return all(np.array_equal(a, b) and np.array_equal(x["y"], y["y"]) for (_, a, x), (_, b, y) in pairs)


@pytest.mark.parametrize("k", [2, 5])
def test_each_row_is_tested_once_with_the_shares_of_each_class(k: int) -> None:
    found = loaded(table(), folds=k)
    assert len(found.dataset.folds) == k
    assert sorted(np.concatenate(found.of_folds).tolist()) == list(range(60))
    for fold in found.dataset.folds:
        assert sum(len(rows) for _, rows, _ in fold.parts()) == 60
        assert abs(fold.test_labels["rich"].mean() - 2 / 3) < 0.1
    how = "at random with the same shares of each of 2 classes, seed 0"
    assert f"{k} folds of 60 rows, split {how}: each row is tested once; in a fold " in found.dataset.words


def test_a_fold_learns_nothing_of_its_test_rows() -> None:
    before = loaded(table(), folds=3)
    for k, tested in enumerate(before.of_folds):
        columns = table()
        for i in tested.tolist():
            columns["pay"][i], columns["town"][i] = 1e6 + i, "atlantis"
        after = loaded(columns, folds=3)
        for part in ("train", "validation"):
            rows = [getattr(one.dataset.folds[k], f"{part}_images") for one in (before, after)]
            assert np.array_equal(*rows)
        assert before.dataset.folds[k].features == after.dataset.folds[k].features
        assert not np.array_equal(before.dataset.folds[k].test_images, after.dataset.folds[k].test_images)


def test_columns_are_those_of_each_fold_and_what_differs_is_told() -> None:
    found = loaded(table(), folds=3)
    widths = [fold.width for fold in found.dataset.folds]
    lacks = next(i for i, tested in enumerate(found.of_folds) if 17 in tested)
    assert widths[lacks] == min(widths)
    assert found.dataset.width == widths[0]
    pay: list[float | None] = [None] * 60
    pay[int(found.of_folds[1][0])] = 3.0  # in one fold there is none to learn from
    told = loaded(table(pay=pay), folds=3).notices
    assert any(one.startswith("In fold") and "'pay'" in one for one in told)


def test_groups_and_order_hold_in_each_fold() -> None:
    by_group = loaded(table(), folds=4, group="house")
    for tested in by_group.of_folds:
        assert all(set(range(4 * (i // 4), 4 * (i // 4) + 4)) <= set(tested.tolist()) for i in tested.tolist())
    in_time = loaded(table(), folds=4, order="age")
    assert "4 folds of 60 rows, split by their order: each is tested by what was learnt" in in_time.dataset.words
    for number, (fold, tested) in enumerate(zip(in_time.dataset.folds, in_time.of_folds, strict=True), 1):
        assert tested.tolist() == list(range(12 * number, 12 * number + 12))
        assert len(fold.train_images) + len(fold.validation_images) == 12 * number


def test_numbers_labels_weights_and_arrays_have_folds_too() -> None:
    price = {"price": np.linspace(1, 9, 60), "wet": np.arange(60) % 2, "warm": np.arange(60) // 30}
    for target in (("price",), ("wet", "warm")):
        found = loaded(table(**price), target=target, folds=3, weights="age")
        assert all(len(fold.weights) == len(fold.train_images) for fold in found.dataset.folds)
    x, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    found = load_understood(Own(data="data", folds=5), data=x, targets=y)
    for fold, tested in zip(found.dataset.folds, found.of_folds, strict=True):
        assert np.array_equal(fold.test_images, x[tested])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"folds": 1}, "at least 2"),
        ({"folds": -3}, "at least 2"),
        ({"folds": 61}, "from 2 to the number of rows, 60"),
        ({"folds": 3, "test_data": "other.csv"}, "--test-data names others"),
        ({"folds": 16, "group": "house"}, "make at most 15 folds"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(table(), **asked)


def test_a_source_with_a_test_part_of_its_own_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {f"{name}_{part}": value for part in ("train", "test")
             for name, value in (("x", rng.normal(size=(20, 2))), ("y", np.arange(20) % 2))}  # fmt: skip
    np.savez(tmp_path / "rows.npz", **parts)
    with pytest.raises(ConfigError, match="has rows for test, and --folds 3 deals out rows without such parts"):
        load_understood(Own(data=str(tmp_path / "rows.npz"), folds=3))


def test_the_words_of_folds() -> None:
    assert about_folds(folds(11, 3), 11) == (
        "3 folds of 11 rows, split at random, seed 0: each row is tested once; in a fold 6 for training, 1 to 2 for "
        "validation, 3 to 4 for test."
    )
    single = about_folds(folds(9, 2, strata=[0] * 8 + [1], validation=0), 9)
    assert "no row is tested twice; in a fold 5 for training, 4 for test. 1 class has a single row" in single


# The record


def made(count: int = 3) -> Dataset:
    return joined(tuple(features(count=40 + i) for i in range(count)), "three of them")


def test_a_data_set_knows_its_folds() -> None:
    whole = made()
    assert [number for number, _ in whole.each_fold()] == [1, 2, 3]
    assert [len(whole.of_fold(i).train_images) for i in (1, 2, 3)] == [30, 30, 31]
    for wrong in (0, 4):
        with pytest.raises(ConfigError, match=f"fold is {wrong}; allowed with mine is 1 to 3"):
            whole.of_fold(wrong)
    alone = features()
    assert alone.of_fold(0) is alone
    assert list(alone.each_fold()) == [(0, alone)]
    with pytest.raises(ConfigError, match="allowed with mine is 0"):
        alone.of_fold(1)


def test_the_fingerprint_is_that_of_all_folds_in_their_order() -> None:
    whole = made()
    assert whole.fingerprint == made().fingerprint
    assert replace(whole, folds=whole.folds[::-1]).fingerprint != whole.fingerprint
    assert joined(whole.folds[:2], "").fingerprint != whole.fingerprint
    assert whole.fingerprint not in {fold.fingerprint for fold in whole.folds}


@pytest.mark.parametrize(("limit", "calls"), [(1 << 28, [1, 1, 1]), (0, [1, 3, 3])])
def test_small_folds_are_kept_and_of_large_ones_the_first_and_the_last(
    limit: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", limit)
    asked = [0, 0, 0]

    def maker(i: int) -> Callable[[], Dataset]:
        def make() -> Dataset:
            asked[i] += 1
            return features(count=40 + i)

        return make

    lazy = Folds([maker(i) for i in range(3)])
    whole = joined(lazy, "")
    assert len(lazy) == 3
    for _ in range(2):
        assert [fold.fingerprint for fold in lazy] == [features(count=40 + i).fingerprint for i in range(3)]
    assert asked == calls
    assert len(lazy._kept) == (3 if limit else 2)
    assert whole.fingerprint == made().fingerprint


def test_folds_are_mapped_one_after_the_other_and_sent_whole(tmp_path: Path) -> None:
    whole = made()
    written = write_mapped(whole, tmp_path)
    read = read_mapped(tmp_path, whole.fingerprint)
    for other in (written, read, pickle.loads(pickle.dumps(written))):
        assert other.fingerprint == whole.fingerprint
        assert other.words == "three of them"
        assert all(same(*pair) for pair in zip(whole.folds, other.folds, strict=True))
        anew = replace(other, folds=tuple(replace(fold) for fold in other.folds))
        assert anew.fingerprint == whole.fingerprint
    assert write_mapped(whole, tmp_path).fingerprint == whole.fingerprint
    alone = features()
    assert same(write_mapped(alone, tmp_path), alone)  # in the place of the folds
    with pytest.raises(DataError, match="another data set"):
        read_mapped(tmp_path, whole.fingerprint)


@pytest.mark.parametrize(
    "name", ["fold-2-facts.json", "fold-3-test_images.npy", "fold-1-train_labels.npz", "facts.json"]
)
def test_a_damaged_fold_is_found_and_written_anew(name: str, tmp_path: Path) -> None:
    whole = made()
    write_mapped(whole, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="holds no whole data set"):
        read_mapped(tmp_path, whole.fingerprint)
    assert same(write_mapped(whole, tmp_path).folds[1], whole.folds[1])
    assert read_mapped(tmp_path, whole.fingerprint).fingerprint == whole.fingerprint
