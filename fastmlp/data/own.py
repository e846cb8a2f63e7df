"""Anyone's own data, from what a command says of them to the record that training takes."""

from collections.abc import Callable
from typing import Any

from fastmlp.data.dataset import Dataset
from fastmlp.data.own_raw import of_raw, raw_in_memory, read_own_raw
from fastmlp.data.own_record import Loaded, Own, check, is_named
from fastmlp.data.own_table import of_table

__all__ = ["Loaded", "Own", "load_own", "load_understood"]

Tell = Callable[[str], None]


def load_own(own: Own, tell: Tell = lambda _: None) -> Dataset:
    """Return own data as a data set with a training, a validation and a test part; see `load_understood`."""
    return load_understood(own, tell).dataset


def load_understood(own: Own, tell: Tell = lambda _: None, data: Any = None, targets: Any = None) -> Loaded:
    """Read own data, split them, and learn a table's columns on the training rows.

    tell(line) : told what takes long and what is left out
    data, targets : in place of the path: a DataFrame or columns by name, of which `own.target` are the targets, or an
        array (M, ...) of rows and one (M,) or (M, L) of targets

    The data's own folder is never written to. Raises MissingDataError, DataError, ConfigError or MissingExtraError.
    """
    check(own)
    if data is None:
        from fastmlp.data.sources.read import is_table

        if not is_named(own.data) and is_table(own.data):
            return of_table(own, tell=tell)
        return of_raw(own, read_own_raw(own, own.data, tell), tell)
    if targets is None:
        return of_table(own, data)
    return of_raw(own, raw_in_memory(own, data, targets), tell)
