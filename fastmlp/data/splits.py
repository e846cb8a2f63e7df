"""The split of a table's rows into training, validation and test part, once or as folds of a cross-validation.

At random, with the same shares of each class; by whole groups, none of which is in two parts; or by an order such as
time, of which the last rows are the test.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.errors import ConfigError, DataError

Index = NDArray[np.int64]

MOST_BINS, LEAST_IN_BIN = 10, 10
PARTS = ("training", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of three parts, each ascending, disjoint: `train, validation, test = split`.

    train, validation, test : (M,) int64, the M of each part; one that was not asked for is empty
    words : how the rows were split, in a sentence or two
    """

    train: Index
    validation: Index
    test: Index
    words: str
    how: str = ""
    """Of a fold: by what the rows were split, in a few words."""
    note: str = ""
    """What a reader must know of single rows, with a blank before it; else empty."""

    def __iter__(self) -> Iterator[Index]:
        return iter((self.train, self.validation, self.test))


def split_rows(
    n: int,
    *,
    test: float = 0.2,
    validation: float = 0.2,
    seed: int = 0,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> Split:
    """Split the numbers of `n` rows into three parts, always in the same way by one seed.

    test, validation : the share of all rows, and of the rows that are not for the test; from 0, for no such part, to
        below 1. Or a number of rows, as an int
    strata : (n,) class numbers or names, of which each part has the same shares, as near as whole rows can; a class
        with two rows or more is in training too, and one with a single row nowhere else. Or float numbers, which
        are taken by up to ten ranges of as many rows each
    groups : (n,) numbers or names of any dtype; rows of one group are all in one part. Parts are as near to their
        sizes as the largest groups first, each to the part that lacks most, bring them
    order : (n,) numbers, dates or names of any dtype: the last rows are the test, those before them the validation.
        Rows of one value are all in one part

    At most one of these three is given. Raises ConfigError where no split is as asked, DataError for an array that is
    not as above or has missing values.
    """
    rows = _Rows.of(n, strata, groups, order)
    rng = _generator(seed)
    of_test = _size("test", test, n, n)
    of_validation = _size("validation", validation, n - of_test, n)
    wanted = _wanted(n, of_test, of_validation)
    part = rows.parts(wanted, rng)
    parts = (np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2))
    _check_none_empty(parts, wanted, rows)
    return Split(*parts, f"{n:,} rows, split {rows.way(seed)}: {_sizes(parts)}.{rows.note}")


def folds(
    n: int,
    k: int,
    *,
    validation: float = 0.2,
    seed: int = 0,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> list[Split]:
    """Split the numbers of `n` rows `k` times, for a cross-validation: each row is in the test part once.

    validation : the share of the rows that are not for the test, or their number; 0 for no such part
    strata, groups : (n,), as of `split_rows`; a class with a single row is never tested
    order : (n,), as of `split_rows`. The rows are cut into k + 1 blocks, each of which but the first is tested once, by
        what was learnt from all before it; none is used that comes after

    Raises ConfigError where there are no such folds, DataError for a wrong array.
    """
    rows = _Rows.of(n, strata, groups, order)
    rng = _generator(seed)
    if not _is_whole(k) or not 2 <= k <= n:
        raise ConfigError(f"folds is {k!r}; allowed is a whole number from 2 to the number of rows, {n:,}.")
    fold = rows.folds(k, rng)
    made = []
    for i in range(k):
        test = np.flatnonzero(fold == i)
        rest = np.flatnonzero(fold < i if rows.by == "order" else fold != i)
        if not len(test) or not len(rest):
            raise ConfigError(
                f"{k} folds of {n:,} rows {rows.kinds()} leave a fold or its training part empty; ask for fewer folds."
            )
        size = _size("validation", validation, len(rest), len(rest))
        wanted = _wanted(len(rest), 0, size)
        part = rows.taken(rest).parts(wanted, rng)
        parts = (rest[part == 0], rest[part == 1], test)
        _check_none_empty(parts, (*wanted[:2], 1), rows)
        how = "by their order" if rows.by == "order" else rows.way(seed)
        words = f"Fold {i + 1} of {k} of {n:,} rows, split {rows.way(seed)}: {_sizes(parts)}.{rows.note}"
        made.append(Split(*parts, words, how, rows.note))
    return made


def about_folds(splits: Sequence[Split], n: int) -> str:
    """Return in words how the numbers of `n` rows were split into these folds."""
    sizes = [sorted({len(split) for split in part}) for part in zip(*splits, strict=True)]
    each = [f"{size[0]:,}{f' to {size[-1]:,}' if len(size) > 1 else ''} for {name}"
            for size, name in zip(sizes, PARTS, strict=True) if size[-1]]  # fmt: skip
    how, note = splits[0].how, splits[0].note
    tested = "each row is tested once" if sum(len(one.test) for one in splits) == n else "no row is tested twice"
    if how == "by their order":
        tested = "each is tested by what was learnt from the rows before it, and the first rows by none"
    return f"{len(splits)} folds of {n:,} rows, split {how}: {tested}; in a fold {', '.join(each)}.{note}"


@dataclass(frozen=True, eq=False)
class _Rows:
    """What rows are split by: the number (n,) int64 of the class, group or place in the order that each belongs to."""

    by: str  # "random", "classes", "ranges", "groups" or "order"
    codes: Index

    @classmethod
    def of(cls, n: int, strata: ArrayLike | None, groups: ArrayLike | None, order: ArrayLike | None) -> "_Rows":
        if not _is_whole(n) or n < 1:
            raise DataError(f"There are {n!r} rows to split; one needs a row for each part.")
        given = {"strata": strata, "groups": groups, "order": order}
        chosen = [name for name, values in given.items() if values is not None]
        if len(chosen) > 1:
            raise ConfigError(f"Rows are split by one of strata, groups and order; given are {' and '.join(chosen)}.")
        if not chosen:
            return cls("random", np.zeros(n, np.int64))
        codes, is_float = _codes(chosen[0], given[chosen[0]], n)
        if chosen[0] != "strata":
            return cls(chosen[0], codes)
        if not is_float:
            return cls("classes", codes)
        bins = min(MOST_BINS, n // LEAST_IN_BIN)
        return cls("ranges", _ranges(codes, bins)) if bins > 1 else cls("random", np.zeros(n, np.int64))

    def taken(self, index: Index) -> "_Rows":
        """Return these rows alone, with their codes numbered anew."""
        return _Rows(self.by, np.unique(self.codes[index], return_inverse=True)[1])

    def parts(self, wanted: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the part 0, 1 or 2 of each row; wanted : the sizes of the three."""
        counts = np.bincount(self.codes)
        asked = [i for i in range(3) if wanted[i]]
        if self.by in ("groups", "order") and len(counts) < len(asked):
            raise ConfigError(
                f"{len(self.codes):,} rows {self.kinds()} cannot be split into {len(asked)} parts, as none of these is "
                f"in two; leave {self.by} out, or ask for fewer parts by a test or validation share of 0."
            )
        if self.by == "groups":
            return np.array(asked)[_deal(counts, [wanted[i] for i in asked], rng)][self.codes]
        if self.by == "order":
            return np.array(asked)[_cut(counts, [wanted[i] for i in asked])[self.codes]]
        # A class of one row has nothing to share: the parts are those of the other rows.
        shared = np.where(counts > 1, counts, 0) if self.by == "classes" else counts
        _, validation, test = (round(size * int(shared.sum()) / len(self.codes)) for size in wanted)
        held = _apportioned(shared, validation + test, np.maximum(0, shared - 1), rng)
        tested = _apportioned(held, test, held, rng)
        order, rank = self._shuffled(counts, rng)
        part = np.empty(len(order), np.int64)
        one = self.codes[order]
        part[order] = (rank < held[one]).astype(np.int64) + (rank < tested[one])
        return part

    def folds(self, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return for each row the number from 0 of the fold in which it is tested, -1 where in none."""
        counts = np.bincount(self.codes)
        pieces = k + 1 if self.by == "order" else k
        if self.by in ("groups", "order") and len(counts) < pieces:
            raise ConfigError(
                f"{len(self.codes):,} rows {self.kinds()} make at most {len(counts) - pieces + k} folds, asked for are "
                f"{k}; ask for fewer, or leave {self.by} out."
            )
        if self.by == "groups":
            return _deal(counts, [len(self.codes) / k] * k, rng)[self.codes]
        if self.by == "order":
            return _cut(counts, [len(self.codes) / pieces] * pieces)[self.codes] - 1
        order, _ = self._shuffled(counts, rng)
        if self.by == "classes":
            order = order[counts[self.codes[order]] > 1]
        fold = np.full(len(self.codes), -1)
        fold[order] = np.arange(len(order)) % k
        return fold

    def _shuffled(self, counts: Index, rng: np.random.Generator) -> tuple[Index, Index]:
        """Return the rows' numbers by class, at random within each, and for each its place in its class."""
        lots = rng.permutation(len(self.codes))
        order = lots[np.argsort(self.codes[lots], kind="stable")]
        return order, np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)

    def kinds(self) -> str:
        """Return in words of how many classes, groups or values the rows are."""
        count = int(self.codes.max()) + 1
        name = {"random": "kind", "classes": "class", "ranges": "range", "groups": "group", "order": "value"}[self.by]
        plural = {"class": "classes"}.get(name, f"{name}s")
        return f"of {count:,} {name if count == 1 else plural}"

    def way(self, seed: int) -> str:
        """Return in words how the rows are split."""
        if self.by == "order":
            return "by their order, the last for the test"
        how = {
            "random": "at random",
            "classes": f"at random with the same shares of each {self.kinds()}",
            "ranges": f"at random with the same shares of each {self.kinds()} of the target",
            "groups": f"by whole groups, {int(self.codes.max()) + 1:,} of them",
        }[self.by]
        return f"{how}, seed {seed}"

    @property
    def note(self) -> str:
        """What a reader must know of single rows, with a blank before it; else empty."""
        counts = np.bincount(self.codes)
        if self.by == "order" and counts.max() > 1:
            return " Rows of one value of the order are in one part."
        single = int((counts == 1).sum())
        if self.by != "classes" or not single:
            return ""
        return f" {single:,} {'classes have' if single > 1 else 'class has'} a single row, always for training."


def _codes(name: str, given: Any, n: int) -> tuple[Index, bool]:
    """Return the number of each value among the distinct ones in order, (n,), and whether they are floats.

    Raises DataError where there is not a value for each row, or where they have no order.
    """
    try:
        values = np.asarray(given)
        if values.shape != (n,):
            raise DataError(f"{name} has the shape {values.shape}; allowed is one value for each of {n:,} rows.")
        if values.dtype == object:
            missing = sum(bool(one is None or one != one) for one in values)
        else:
            missing = int(np.sum(values != values))  # NaN, and what is no date
        if not missing:
            codes = np.unique(values, return_inverse=True)[1]
            return codes.astype(np.int64, copy=False), values.dtype.kind == "f"
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} has values that do not compare ({error}); give all of them one type.") from error
    raise DataError(
        f"{name} is missing in {missing:,} of {n:,} rows. Drop these rows, or give them a value of their own."
    )


def _ranges(codes: Index, bins: int) -> Index:
    """Return for the ranks of numbers which of up to `bins` ranges of as many rows they are in."""
    counts = np.bincount(codes)
    middle = np.cumsum(counts) - counts / 2
    of_value = (middle * (bins / len(codes))).astype(np.int64)  # below `bins`, as each count is 1 or more
    return np.unique(of_value, return_inverse=True)[1][codes]  # ties may leave a range empty


def _apportioned(weights: Index, total: int, most: Index, rng: np.random.Generator) -> Index:
    """Return whole numbers (K,) of sum `total` in the ratio of the weights, none above `most`: by largest remainders.

    Equal remainders are served by lot. Where `most` does not allow the total, the sum is less.
    """
    claims, free = np.zeros(len(weights)), weights > 0
    while free.any():  # a claim above its most is cut, and what it leaves goes to the others
        claims[free] = weights[free] * ((total - claims[~free].sum()) / weights[free].sum())
        over = free & (claims > most)
        if not over.any():
            break
        claims[over] = most[over]
        free &= ~over
    given = np.floor(claims).astype(np.int64)
    lots = rng.permutation(len(weights))
    lots = lots[np.argsort((given - claims)[lots], kind="stable")]
    lots = lots[(given < most)[lots]]
    given[lots[: max(0, total - int(given.sum()))]] += 1
    return given


def _deal(sizes: Index, wanted: Sequence[float], rng: np.random.Generator) -> Index:
    """Return for each group the number of its part: large ones first, each to the part that lacks most rows.

    Groups of less than twice each other's size come by lot, so that seeds differ. While there are as many groups left
    as parts without one, they go to these.
    """
    lots = rng.permutation(len(sizes))
    lots = lots[np.argsort(-np.frexp(sizes[lots])[1], kind="stable")]
    lack, without = list(wanted), set(range(len(wanted)))
    part = np.empty(len(sizes), np.int64)
    for left, group in zip(range(len(sizes), 0, -1), lots.tolist(), strict=True):
        to = max(sorted(without) if left == len(without) else range(len(lack)), key=lack.__getitem__)
        part[group] = to
        lack[to] -= int(sizes[group])
        without.discard(to)
    return part


def _cut(counts: Index, wanted: Sequence[float]) -> Index:
    """Return for each value of an order the number of its part, cut where the sizes come nearest to those wanted."""
    ends = np.cumsum(counts)
    cuts: list[int] = []  # the last value of each part but the last one
    for i, at in enumerate(np.cumsum(wanted)[:-1]):
        first, last = cuts[-1] + 1 if cuts else 0, len(counts) - len(wanted) + i
        cuts.append(first + int(np.argmin(np.abs(ends[first : last + 1] - at))))
    return np.searchsorted(cuts, np.arange(len(counts)), side="left")


def _check_none_empty(parts: Sequence[Index], wanted: Sequence[int], rows: _Rows) -> None:
    for name, index, size in zip(PARTS, parts, wanted, strict=True):
        if size and not len(index):
            raise ConfigError(
                f"The {name} part would be empty: there are {len(rows.codes):,} rows {rows.kinds()}, and the only row "
                "of a class is for training alone. Leave strata out, or ask for a larger part."
            )


def _sizes(parts: Sequence[Index]) -> str:
    return ", ".join(f"{len(index):,} for {name}" for name, index in zip(PARTS, parts, strict=True) if len(index))


def _size(name: str, share: float, of: int, n: int) -> int:
    """Return the size of a part of `of` rows from a share or a number of rows; ConfigError where it would be empty."""
    if _is_whole(share) and share >= 0:
        return int(share)
    if isinstance(share, bool | np.bool_) or not isinstance(share, Real) or not 0 <= share < 1:
        raise ConfigError(
            f"{name} is {share!r}; allowed is a share from 0 to below 1, such as 0.2, or a whole number of rows."
        )
    size = round(float(share) * of)
    if share > 0 and size == 0:
        raise ConfigError(
            f"A {name} share of {share:g} leaves that part of {n:,} rows empty; use a larger one, or 0 for none."
        )
    return size


def _wanted(n: int, test: int, validation: int) -> tuple[int, int, int]:
    """Return the sizes of the three parts of `n` rows; ConfigError where none is left for training."""
    if test + validation >= n:
        also = f" and {validation:,} for validation" if validation > 0 else ""
        raise ConfigError(
            f"{test:,} rows for test{also} leave none of {n:,} for training; ask for less, such as a share of 0.2 each."
        )
    return n - test - validation, validation, test


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def _generator(seed: int) -> np.random.Generator:
    if not _is_whole(seed) or seed < 0:
        raise ConfigError(f"seed is {seed!r}; allowed is a whole number from 0 on.")
    return np.random.default_rng(int(seed))
