"""How a source of anyone's own became a network's rows, kept with the model so that others of its form become such too.

It goes to JSON and back; nothing is unpickled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import DataError, MissingDataError

if TYPE_CHECKING:
    from fastmlp.data.columns import Columns
    from fastmlp.data.frame import Frame

FORMS = ("table", "pictures", "arrays")
_KEYS = {
    "table": {"form", "columns"},
    "pictures": {"form", "size", "grey"},
    "arrays": {"form", "dtype", "width", "shape", "features"},
}
_DTYPES = ("uint8", "float32", "float64")
_MOST_SIDE = 1024


class Read(NamedTuple):
    """Rows as a network takes them.

    rows : (M, D) float32, float64 or uint8; numbers : (M,) int64, which of the source's rows they are, counted from 0
    """

    rows: np.ndarray
    numbers: NDArray[np.int64]
    names: tuple[str, ...] | None = None
    """Of pictures, the names of their files."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a raw source becomes rows.

    form : "table", by `columns`; "pictures", by `size` and `grey`; "arrays" of `width` numbers a row, of a `dtype`,
        "uint8", "float32" or "float64", a `shape` where they are images, and names where they are `features`
    """

    form: str
    columns: "Columns | None" = None
    size: int = 0
    grey: bool = False
    dtype: str = ""
    width: int = 0
    shape: tuple[int, ...] | None = None
    features: tuple[str, ...] = ()

    def rows(self, data: Any) -> Read:
        """Return the rows of a source of the same form, as those that the network was trained on.

        data : the path of a file or folder, or a pattern, or several; for a table also a DataFrame of polars or pandas,
            or columns by name; for pictures and arrays also an array (M, ...) of one row each, or (D,) of a single one

        Columns of a table stand in any order, and others are passed over. Raises DataError for what does not fit.
        """
        paths = _paths(data)
        if self.form == "table":
            return self._of_table(data if paths is None else paths)
        if paths is None and not _is_table(data):
            return _all(self._of_array(data))
        if self.form == "pictures":
            return self._of_pictures(paths or [])
        return self._of_source(data if paths is None else paths)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as values that JSON knows, from which `from_json` gives an equal one."""
        if self.form == "table":
            assert self.columns is not None
            return {"form": self.form, "columns": self.columns.to_json()}
        if self.form == "pictures":
            return {"form": self.form, "size": self.size, "grey": self.grey}
        shape = None if self.shape is None else list(self.shape)
        features = list(self.features)
        return {"form": self.form, "dtype": self.dtype, "width": self.width, "shape": shape, "features": features}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return what `to_json` gave; DataError for anything else, keys that are unknown or missing too."""
        if not isinstance(data, dict) or data.get("form") not in FORMS:
            raise DataError(f"How a model reads its rows is none of the forms {', '.join(FORMS)}.")
        form = data["form"]
        if set(data) != _KEYS[form]:
            raise DataError(f"How a model reads {form} has the keys {', '.join(map(repr, data))}; allowed are "
                            f"{', '.join(sorted(_KEYS[form]))}.")  # fmt: skip
        if form == "table":
            from fastmlp.data.columns import Columns

            return cls(form=form, columns=Columns.from_json(data["columns"]))
        if form == "pictures":
            size, grey = data["size"], data["grey"]
            if not _is_count(size) or size > _MOST_SIDE or not isinstance(grey, bool):
                raise DataError(f"How a model reads pictures has size {size!r} and grey {grey!r}, which none is.")
            return cls(form=form, size=size, grey=grey)
        dtype, width, shape, features = (data[name] for name in ("dtype", "width", "shape", "features"))
        right = dtype in _DTYPES and _is_count(width) and isinstance(features, list)
        right = right and all(isinstance(name, str) for name in features) and len(features) in (0, width)
        if shape is not None:
            right = right and isinstance(shape, list) and len(shape) == 3 and all(map(_is_count, shape))
            right = right and np.prod(shape, dtype=object) == width
        if not right:
            raise DataError("How a model reads arrays has a dtype, width, shape or features that none has.")
        shape = None if shape is None else tuple(shape)
        return cls(form=form, dtype=dtype, width=width, shape=shape, features=tuple(features))

    def _of_table(self, data: Any) -> Read:
        from fastmlp.data.frame import frame_of, read_frame

        assert self.columns is not None
        known = self.columns.reading
        if isinstance(data, list):
            frame = read_frame(data, known=known)
        elif _is_table(data):
            frame = frame_of(data, known=known)
        else:
            raise DataError(
                f"This model was trained on a table, and was given {_what(data)}. Give a DataFrame, columns by name, "
                "or the path of a table."
            )
        return Read(self.columns.apply(frame), numbers_of(frame))

    def _of_array(self, data: Any) -> np.ndarray:
        """Return an array's rows, of the dtype that the network was trained on."""
        from fastmlp.data.sources.build import rows_of

        array = np.asarray(data)
        size = 3 if self.form == "pictures" and not self.grey else 1
        width = size * self.size**2 if self.form == "pictures" else self.width
        if array.ndim == 1 and len(array) == width:
            array = array[None]
        rows, _ = rows_of(array)
        if rows.shape[1] != width:
            raise DataError(f"The rows have {rows.shape[1]:,} numbers each, and this model was trained on {width:,}.")
        dtype = np.dtype("uint8" if self.form == "pictures" else self.dtype)
        if dtype == np.uint8 and rows.dtype != np.uint8:
            if not ((rows >= 0) & (rows <= 255) & (rows == np.round(rows))).all():
                raise DataError("This model was trained on bytes, whole numbers from 0 to 255; give such.")
            return rows.astype(np.uint8)
        rows = rows.astype(dtype) if rows.dtype == np.uint8 else rows
        from fastmlp.data.raw import first_not_finite

        if (place := first_not_finite(rows)) is not None:
            raise DataError(f"Row {place[0]:,} has {rows[place]} in column {place[1]:,}, counted from 0. Every number "
                            "must be finite: leave such rows out, or fill them in.")  # fmt: skip
        return rows

    def _of_pictures(self, paths: Sequence[Path]) -> Read:
        from fastmlp.data.sources.picture import check_pillow, read_whole_picture
        from fastmlp.data.sources.pictures import files_of

        check_pillow()
        names = [name for path in paths for name in files_of(path)]
        if not names:
            raise MissingDataError(
                f"There are no pictures in {', '.join(map(str, paths))}. Name a picture or a folder."
            )
        rows = np.empty((len(names), (1 if self.grey else 3) * self.size**2), np.uint8)
        for row, name in zip(rows, names, strict=True):
            try:
                row[:] = read_whole_picture(name, self.size, grey=self.grey)
            except DataError as error:
                raise DataError(f"{name} is no picture that can be read: {error}.") from error
        return _all(rows)._replace(names=tuple(map(str, names)))

    def _of_source(self, data: Any) -> Read:
        from fastmlp.data.sources.read import is_table, read_raw, read_rows

        if not isinstance(data, list) or all(map(is_table, data)):
            return self._of_named(data)
        if len(data) > 1:
            raise DataError(f"This model was trained on arrays, and was given {len(data):,} files. Give one.")
        rows = read_rows(data[0])
        if rows is None:
            rows = read_raw(data[0]).rows
        return _all(self._of_array(rows))

    def _of_named(self, data: Any) -> Read:
        """Return the rows of a table whose columns are called as the features are."""
        from fastmlp.data.frame import floats, frame_of, read_frame
        from fastmlp.data.kinds import as_numbers

        if not self.features:
            raise DataError("This model was trained on images, not on a table. Give an array, or a file of arrays.")
        known = dict.fromkeys(self.features, "number")
        frame = read_frame(data, known=known) if isinstance(data, list) else frame_of(data, known=known)
        rows = np.stack([floats(as_numbers(frame, name)) for name in self.features], axis=1)
        return Read(self._of_array(rows), numbers_of(frame))


def numbers_of(frame: "Frame") -> NDArray[np.int64]:
    """Return which rows of its source a frame's rows are, (M,) int64."""
    return np.arange(frame.rows) if frame.numbers is None else frame.numbers


def _all(rows: np.ndarray) -> Read:
    return Read(rows, np.arange(len(rows)))


def _paths(data: Any) -> list[Path] | None:
    """Return the paths that data are, None where they are in memory."""
    if isinstance(data, str | Path):
        return [Path(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(one, str | Path) for one in data):
        return [Path(one) for one in data]
    return None


def _is_table(data: Any) -> bool:
    return isinstance(data, Mapping) or hasattr(data, "columns")


def _what(data: Any) -> str:
    return f"an array of shape {data.shape}" if isinstance(data, np.ndarray) else f"a {type(data).__name__}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
