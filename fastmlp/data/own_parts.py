"""How anyone's own rows are dealt out: into a training, a validation and a test part, or into folds."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.folds import Folds, joined
from fastmlp.data.own_record import Loaded, Own

if TYPE_CHECKING:
    from fastmlp.data.splits import Split


def ways_of(
    kind: str,
    values: np.ndarray,
    groups: NDArray[np.int64] | None = None,
    order: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return what rows are split by, as of `split_rows`: groups, an order, or else what targets have alike."""
    alike = groups is None and order is None and kind != "labels" and values.ndim == 1
    return {"groups": groups, "order": order, "strata": values if alike else None}


def split_of(own: Own, rows: int, ways: Mapping[str, Any], *, test: bool = True, validation: bool = True) -> "Split":
    """Return the parts of some rows; where the test rows lie elsewhere, none is for the test."""
    from fastmlp.data.splits import split_rows

    sizes = {
        "test": own.test_size if test and own.test_data is None else 0,
        "validation": own.validation_size if validation else 0,
    }
    return split_rows(rows, **sizes, seed=own.split_seed, **ways)


def over_folds(
    own: Own,
    rows: int,
    ways: Mapping[str, Any],
    make: "Callable[[Split], Loaded]",
    notices: Sequence[str] = (),
) -> Loaded:
    """Return a cross-validation of some rows; make(split) : returns the data of a fold, with its own notices.

    Each fold is made here once, so that what is wrong with one is told before any is trained.
    """
    from fastmlp.data.splits import about_folds, folds

    splits = folds(rows, own.folds, validation=own.validation_size, seed=own.split_seed, **ways)
    numbers, told, table = list[NDArray[np.int64]](), dict[str, list[int]](), None

    def made(i: int) -> Dataset:
        nonlocal table
        found = make(splits[i])
        if i == len(numbers):  # the first time
            numbers.append(found.numbers)
            for notice in found.notices:
                told.setdefault(notice, []).append(i + 1)
            table = found.table if i == 0 else table
        return found.dataset

    words = about_folds(splits, rows) + counting(own)
    dataset = joined(Folds([partial(made, i) for i in range(len(splits))]), words)
    some = [notice if len(of) == len(splits) else f"In {_numbered(of)}: {notice}" for notice, of in told.items()]
    return Loaded(dataset, table, (*notices, *some), numbers[0], tuple(numbers))


def counting(own: Own) -> str:
    """Return a further sentence on the split where rows do not all count the same."""
    counts = f" Rows count by their {own.weights!r}, in every loss and in the metrics of the test."
    return "" if own.weights is None else counts


def _numbered(folds: Sequence[int]) -> str:
    return f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"
