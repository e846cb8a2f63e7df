"""polars, the library that tables are read by, loaded on first use; its errors, and lists of names in others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastmlp.errors import DataError, FastMLPError, MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def need_polars() -> "ModuleType":
    """Import polars and return it; MissingExtraError where it is not installed."""
    try:
        import polars
    except ImportError as error:
        raise MissingExtraError(f"Tables need polars ({error}): pip install 'fastmlp[tables]'.") from error
    return polars


@contextmanager
def reading(name: str, advice: str) -> Iterator[None]:
    """Have whatever polars raises in the body, its panics too, be a DataError about the file `name`."""
    try:
        yield
    except (FastMLPError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{name} cannot be read ({reason}). {advice}") from error


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names in quotes for a message, at most so many, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(map(repr, names[:most]))}{more}"
