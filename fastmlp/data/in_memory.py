"""A table in memory as polars holds it: a DataFrame of polars or pandas, or columns by name."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def lazy_table(data: Any) -> "pl.LazyFrame":
    """Return a table in memory; DataError where its columns differ in length or have one name."""
    import polars as pl

    from fastmlp.data.delimited import check_names

    if isinstance(data, pl.LazyFrame | pl.DataFrame):
        return data.lazy()
    names = list(data.columns if hasattr(data, "columns") else data)
    check_names([str(name) for name in names], "The table")
    series = [_series(str(name), data[name]) for name in names]
    if len({len(one) for one in series}) > 1:
        lengths = ", ".join(f"{one.name!r} {len(one):,}" for one in series)
        raise DataError(f"The columns have different lengths: {lengths}. Give each a value for each row.")
    return pl.DataFrame(series).lazy()


def _series(name: str, values: Any) -> "pl.Series":
    """Return a column of an array, a list or pandas' own as polars holds it; objects become texts."""
    import polars as pl

    if isinstance(values, pl.Series):
        return values.alias(name)
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"Column {name!r} has {array.ndim} dimensions, expected one value for each row.")
    if array.dtype.kind not in "OUS":
        if array.dtype.kind in "Mm":
            array = array.astype(f"{array.dtype.kind}8[us]")
        elif array.dtype.char in "eg":  # polars has neither shorter nor longer floats
            array = array.astype(np.float64)
        return pl.Series(name, np.ascontiguousarray(array))
    known = [one if isinstance(one, str) or one == one else None for one in map(_known, array.tolist())]
    types = {type(one) for one in known if one is not None}
    if types <= {bool} or types <= {int, float}:
        return pl.Series(name, known, dtype=pl.Boolean if types <= {bool} and types else pl.Float64)
    if not types <= {str, bool, int, float}:
        return pl.Series(name, known, strict=False)
    return pl.Series(name, [None if one is None else str(one) for one in known], dtype=pl.String)


def _known(value: Any) -> Any:
    """Return a value, None for pandas' NA, which is neither equal to itself nor unequal."""
    return None if type(value).__name__ in ("NAType", "NaTType") else value
