"""Some rows of a table, taken from its columns one after the other."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl


class Taken:
    """Rows of a table of M rows by their numbers (N,) int64 or other integers, from 0 on.

    Where they ascend, as those of a part do, they are taken by a mask, which is many times as fast as by numbers.
    """

    def __init__(self, rows: NDArray[np.integer], count: int) -> None:
        import polars as pl

        self.rows, self._mask = np.asarray(rows), None
        if len(self.rows) and self.rows[0] >= 0 and self.rows[-1] < count and (np.diff(self.rows) > 0).all():
            self._first = int(self.rows[0])
            mask = np.zeros(int(self.rows[-1]) + 1 - self._first, bool)
            mask[self.rows - self._first] = True
            self._mask = pl.Series(mask)

    def of(self, table: "pl.DataFrame") -> "pl.DataFrame":
        """Return these rows of a table."""
        if self._mask is None:
            return table[self.rows]
        return table.slice(self._first, len(self._mask)).filter(self._mask)
