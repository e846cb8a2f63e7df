"""Anyone's own table as a data set.

Columns are learnt on its training rows alone, and kept with the data set, so that a model can read others.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.dataset import Dataset
from fastmlp.data.own_parts import counting, over_folds, split_of, ways_of
from fastmlp.data.own_record import OF_PICTURES, Loaded, Own, check_has_no_use, home
from fastmlp.data.reading import Reading
from fastmlp.errors import ConfigError

if TYPE_CHECKING:
    from fastmlp.data.frame import Frame
    from fastmlp.data.splits import Split
    from fastmlp.data.targets import Targets

_BLOCK = 1 << 16  # rows of a table that become features at a time


def of_table(own: Own, data: Any = None, tell: Callable[[str], None] = lambda _: None) -> Loaded:
    """Return a table of one's own; data : in place of the path, as of `own.load_understood`."""
    from fastmlp.data.frame import frame_of, read_frame
    from fastmlp.data.kinds import parse_columns
    from fastmlp.data.library import listed
    from fastmlp.data.targets import class_words, targets_of

    check_has_no_use(own, OF_PICTURES, "pictures")
    given = parse_columns(own.columns) if own.columns else {}
    # What rows are ordered by must be read, also where it is to be no input.
    read = {name: kind for name, kind in given.items() if name != own.order}
    asked: dict[str, Any] = {"columns": read, "weights": own.weights, "group": own.group, "target": own.target}
    frame = read_frame(home(own.data), **asked, tell=tell) if data is None else frame_of(data, **asked)
    if not own.target:
        raise ConfigError(
            f"Which column is to be predicted? Name it by --target. {frame.source} has {listed(frame.table.columns)}."
        )
    frame = replace(frame, overrides=given)
    targets = targets_of(frame, own.target, own.task)
    order = None if own.order is None else frame.order_values(own.order)
    ways = ways_of(targets.kind, targets.values, frame.group_values(), order)
    notices = (*frame.notices, *class_words(targets))
    if own.folds:
        return over_folds(own, frame.rows, ways, partial(_of_frame, own, frame, targets), notices)
    found = _of_frame(own, frame, targets, split_of(own, frame.rows, ways))
    return found._replace(notices=(*notices, *found.notices))


def _of_frame(own: Own, frame: "Frame", targets: "Targets", split: "Split") -> Loaded:
    """Return a table by its parts, with the notices that depend on them; columns are learnt on the training part."""
    from fastmlp.data.columns import Columns, dropped
    from fastmlp.data.describe import describe
    from fastmlp.data.frame import read_frame
    from fastmlp.data.kinds import find_kinds
    from fastmlp.data.reading import numbers_of
    from fastmlp.data.targets import targets_as

    kinds = find_kinds(frame, split.train)
    columns = Columns.learn(frame, split.train, kinds, scale=own.scale)
    columns.check_room(frame.rows, frame.source)
    weights = frame.weight_values()
    notices = [*dropped(kinds)]
    key = own.target[0] if len(own.target) == 1 else "targets"
    test, test_values, words = features_of(columns, frame, split.test), targets.values[split.test], split.words
    test_numbers = numbers_of(frame)[split.test]
    counts: dict[str, Any] = {
        "weights": split.train,
        "validation_weights": split.validation,
        "test_weights": split.test,
    }
    counts = {} if weights is None else {name: weights[rows] for name, rows in counts.items()}
    if own.test_data is not None:
        texts = dict.fromkeys(own.target, "category") if targets.kind == "classes" else {}
        known = {**columns.reading, **texts}
        other = read_frame(home(own.test_data), target=own.target, weights=own.weights, known=known)
        test, test_values = columns.apply(other), targets_as(other, own.target, targets.kind, targets.names).values
        test_numbers = numbers_of(other)
        counts |= {} if weights is None else {"test_weights": other.weight_values()}
        words = f"{words} {other.rows:,} rows of {other.source} for the test."
        notices += [f"{other.source}: {notice}" for notice in other.notices]
    words += counting(own)
    dataset = Dataset(
        name=own.name,
        train_images=features_of(columns, frame, split.train),
        train_labels={key: targets.values[split.train]},
        validation_images=features_of(columns, frame, split.validation),
        validation_labels={key: targets.values[split.validation]},
        test_images=test,
        test_labels={key: test_values},
        label_names={key: targets.names},
        kinds={key: targets.kind},
        source=frame.source,
        features=columns.feature_names,
        **counts,
        reading=Reading(form="table", columns=columns),
        words=words,
    )
    return Loaded(dataset, describe(frame, kinds, columns, split.train), tuple(notices), test_numbers)


def features_of(columns: Any, frame: "Frame", rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the features (N, D) float32 of some rows of a frame, of learnt columns; rows : (N,) int64.

    It takes what it returns, and not a copy of the rows beside it.
    """
    out = np.empty((len(rows), len(columns.feature_names)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns.apply(frame.taken(rows[part]), out[part])
    return out
