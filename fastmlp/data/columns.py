"""The learnt columns of a table: from the columns of a file to the inputs of a network, and back from JSON."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.encoders import ENCODERS, LIMIT, SCALES, TINY, Date, Encoder, Hashed, Number, learn_category
from fastmlp.data.frame import Frame
from fastmlp.data.kinds import DATE_FORMATS, Kind
from fastmlp.data.lacking import lacking
from fastmlp.data.room import check_room
from fastmlp.errors import ConfigError, DataError, suggestion

_BLOCK_BYTES = 1 << 22  # of features that are written at a time, so that they stay in cache from column to column
_MOST_HASHED = 1 << 20


@dataclass(frozen=True)
class Columns:
    """What was learnt of a table's columns: how each becomes features of a network's rows.

    scale : a key of `fastmlp.data.encoders.SCALES`, by which numbers were standardised
    """

    scale: str
    encoders: tuple[Encoder, ...]

    @classmethod
    def learn(
        cls, frame: Frame, rows: NDArray[np.integer], kinds: Mapping[str, Kind], *, scale: str = "standard"
    ) -> Self:
        """Learn from the training rows of a frame, and from no other.

        rows : (N,) int64 or other integers, the training rows; kinds : as `fastmlp.data.kinds.find_kinds` gives
        them; a frame's inputs that are not among them are left out. ConfigError for another scale, DataError where no
        column is left.
        """
        if scale not in SCALES:
            allowed = ", ".join(f"{name} ({words})" for name, words in SCALES.items())
            raise ConfigError(
                f"Numbers cannot be scaled by {scale!r}.{suggestion(scale, SCALES)} Allowed are {allowed}."
            )
        if not len(rows):
            raise DataError("There is no training row to learn columns from. Give some.")
        encoders: list[Encoder] = []
        for name, part in frame.each([name for name, kind in kinds.items() if kind.name != "drop"], rows):
            kind = kinds[name]
            if kind.name == "number":
                encoders.append(Number.learn(part, name, scale))
            elif kind.name == "date":
                encoders.append(Date.learn(part, name, kind.format))
            else:
                encoders.append(learn_category(part, name))
        if not encoders:
            dropped = "; ".join(f"{name!r}: {kind.why}" for name, kind in kinds.items()) or "it has no other columns"
            name = [*kinds, "name"][max(0, len(kinds) - 1)]  # the last, as numbers of rows stand first
            kind = "number" if kinds and frame.column(name).dtype.is_numeric() else "category"
            raise DataError(
                f"No column of {frame.source} is left to predict from ({dropped}). Give a kind to one that you want, "
                f"such as --columns {name}={kind}."
            )
        return cls(scale, tuple(encoders))

    @cached_property
    def slices(self) -> dict[str, slice]:
        """By column, which features it becomes."""
        ends = np.cumsum([0, *(len(one.features) for one in self.encoders)]).tolist()
        return {one.name: slice(*ends[i : i + 2]) for i, one in enumerate(self.encoders)}

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, D of them."""
        return tuple(name for one in self.encoders for name in one.features)

    @property
    def reading(self) -> dict[str, str]:
        """By column, the kind to read it as: what `read_frame` and `frame_of` take as `known`."""
        return {one.name: "category" if isinstance(one, Hashed) else one.kind for one in self.encoders}

    def apply(self, frame: Frame, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the features (M, D) float32 of a frame's rows, all finite.

        out : (M, D) float32, where they are written to; None for a new array

        Columns may stand in any order, and others are passed over. DataError names the columns that are missing, or row
        and value of a cell that is not of its column's kind. What is missing or was not seen in training is as
        `fastmlp.data.encoders` says. It takes what it returns, and 4 bytes a row for each hashed category.
        """
        if lacks := [one.name for one in self.encoders if one.name not in frame.table.columns]:
            raise DataError(lacking(frame.source, lacks, frame.table.columns))
        width = len(self.feature_names)
        if out is None:
            out = np.empty((frame.rows, width), np.float32)
        hashes = {one.name: one.prepare(frame) for one in self.encoders if isinstance(one, Hashed)}
        block = min(frame.rows, max(256, _BLOCK_BYTES // (4 * max(1, width))))
        columns = np.empty((width, block), np.float32)  # which are written much faster than those of rows
        for start in range(0, frame.rows, block):
            rows = slice(start, min(start + block, frame.rows))
            count = rows.stop - start
            columns[:] = 0
            for one in self.encoders:
                part = hashes[one.name].slice(start, count) if isinstance(one, Hashed) else None
                one.write(frame.only(one.name, rows), columns[self.slices[one.name], :count].T, part)  # pyright: ignore[reportArgumentType]
            out[rows] = columns[:, :count].T
        return out

    def check_room(self, rows: int, source: str) -> None:
        """Raise DataError where the features of so many rows do not fit into the memory that is free."""
        width = len(self.feature_names)
        widest = sorted(self.encoders, key=lambda one: -len(one.features))[:3]
        most = ", ".join(f"{one.name!r} with {len(one.features):,}" for one in widest)
        what = f"{source}, made into {rows:,} rows of {width:,} features,"
        check_room(
            4 * rows * width, what, f"Leave columns out by --columns NAME=drop, such as {most}, or give fewer rows."
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as values that JSON knows, from which `from_json` gives an equal one."""
        columns = [{"kind": one.kind, **_listed(asdict(one))} for one in self.encoders]
        return {"scale": self.scale, "columns": columns}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the columns that `to_json` gave; DataError for anything else, keys that are unknown or missing too."""
        _check_keys(data, {"scale", "columns"}, "The columns of a model")
        if not isinstance(data["scale"], str) or data["scale"] not in SCALES:
            raise DataError(
                f"The columns of a model have the scale {data['scale']!r}; allowed are {', '.join(SCALES)}."
            )
        if not isinstance(data["columns"], list) or not data["columns"]:
            raise DataError("The columns of a model are no list with an object a column.")
        encoders = tuple(map(_encoder, data["columns"]))
        names = [one.name for one in encoders]
        if len(set(names)) < len(names):
            raise DataError("The columns of a model have one name several times.")
        return cls(data["scale"], encoders)


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _encoder(data: Any) -> Encoder:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str) or data["kind"] not in ENCODERS:
        raise DataError(f"A column of a model is none of the kinds {', '.join(ENCODERS)}.")
    kind = ENCODERS[data["kind"]]
    names = [field.name for field in fields(kind)]
    _check_keys(data, {"kind", *names}, f"A column of kind {kind.kind}")
    for name in names:
        if not _RULES[name](data[name]):
            raise DataError(f"A column of kind {kind.kind} has a value of {name!r} that no training gives.")
    made = kind(**{name: _plain(data[name]) for name in names})
    if isinstance(made, Number) and len(made.points) != len(made.scores):
        raise DataError(f"Column {made.name!r} has {len(made.points)} points and {len(made.scores)} scores.")
    return made


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_keys(data: Any, known: set[str], what: str) -> None:
    if not isinstance(data, dict):
        raise DataError(f"{what} should be an object, and is a {type(data).__name__}.")
    unknown, missing = sorted(map(repr, set(data) - known)), sorted(map(repr, known - set(data)))
    if unknown or missing:
        raise DataError(
            f"{what} has the keys {', '.join(sorted(known))}; unknown: {', '.join(unknown) or 'none'}; missing: "
            f"{', '.join(missing) or 'none'}."
        )


def _is_float(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _are_floats(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_float, value))


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _are_moments(value: Any) -> bool:
    return _are_floats(value) and len(value) == 2 and value[1] >= 0


def _ascend(value: Any) -> bool:
    ascending = _are_floats(value) and all(a < b for a, b in pairwise(value))
    return ascending and all(one == 0 or abs(one) >= TINY for one in value)


def _are_scores(value: Any) -> bool:
    return _are_floats(value) and all(abs(one) <= LIMIT for one in value)


def _are_levels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _is_even(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= _MOST_HASHED and value % 2 == 0


# What a field of an encoder may hold, by its name, which means the same in all of them.
_RULES: Mapping[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and bool(value),
    "median": _is_float,
    "center": _is_float,
    "scale": lambda value: _is_float(value) and value >= 0,
    "points": _ascend,
    "scores": _are_scores,
    "missing": _is_bool,
    "other": _is_bool,
    "hours": _is_bool,
    "levels": _are_levels,
    "buckets": _is_even,
    "written": lambda value: value is None or (isinstance(value, str) and value in DATE_FORMATS),
    "first": _is_float,
    "year": _are_moments,
    "time": _are_moments,
}


def dropped(kinds: Mapping[str, Kind]) -> Sequence[str]:
    """Return a sentence for each column that is left out for a reason of its own, and was not asked to be."""
    return [
        f"Column {name!r} is left out: {kind.why}."
        for name, kind in kinds.items()
        if kind.name == "drop" and kind.why != "given"
    ]
