"""The files of a table: those that paths and patterns name, of one form, and their rows one below the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastmlp.data.library import listed
from fastmlp.data.room import free_memory
from fastmlp.data.sources.packed import DAMAGED, MOST_UNPACKED, PACKED, unpacked
from fastmlp.errors import ConfigError, DataError, MissingDataError, suggestion

if TYPE_CHECKING:
    import polars as pl

FORMS = {
    ".csv": "text", ".tsv": "text", ".txt": "text", ".parquet": "Parquet", ".pq": "Parquet", ".arrow": "Arrow",
    ".feather": "Arrow", ".ipc": "Arrow",
}  # fmt: skip
"""By the end of a file's name, the form of a table; after that of a text, .gz or another of `PACKED` may follow."""


def suffix_of(path: Path) -> str:
    """Return the end of a table's name, such as ".csv", of a packed text that before ".gz"."""
    suffix = path.suffix.lower()
    if suffix in PACKED and FORMS.get(inner := Path(path.stem).suffix.lower()) == "text":
        return inner
    return suffix


def is_packed(path: Path) -> bool:
    """Whether a file is a packed text by its name."""
    return suffix_of(path) != path.suffix.lower()


def unpacked_text(path: Path) -> bytes:
    """Return all of a packed text; DataError where it is damaged, or larger than `MOST_UNPACKED` or half the memory."""
    free = free_memory()
    most = MOST_UNPACKED if free is None else min(MOST_UNPACKED, free // 2)
    try:
        with unpacked(path, most) as file:
            return file.read()
    except DataError as error:
        raise DataError(f"{path.name} cannot be read: {error} in memory. Unpack it, and give the file.") from error
    except MemoryError as error:
        raise DataError(
            f"{path.name} cannot be unpacked: memory is out. Unpack it on the disk, and give that."
        ) from error
    except DAMAGED as error:
        raise DataError(
            f"{path.name} cannot be unpacked ({error}). It may be cut or damaged: write or fetch it again."
        ) from error


def files_of(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the files that paths and patterns name, each pattern's in order; MissingDataError where one names none."""
    from glob import glob

    files: list[Path] = []
    for given in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(given)
        found = [path] if path.exists() else [Path(one) for one in sorted(glob(str(given), recursive=True))]  # noqa: PTH207
        if not found:
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise MissingDataError(f"There is no file {str(given)!r}.{suggestion(path.name, beside)}")
        if not all(one.is_file() for one in found):
            wrong = next(one for one in found if not one.is_file())
            raise DataError(f"{str(wrong)!r} is no file. Name a file, or several by a pattern such as 'folder/*.csv'.")
        files += found
    if not files:
        raise ConfigError("No file was named. Name one, or several by a pattern such as 'folder/*.csv'.")
    return files


def source_of(files: list[Path]) -> str:
    """Return in words, without a folder, what files a table came from."""
    return files[0].name if len(files) == 1 else f"{len(files):,} files, {files[0].name} to {files[-1].name}"


def one_form(files: list[Path]) -> str:
    """Return "text", "Parquet" or "Arrow", the form of all files; DataError where they differ or one has none."""
    forms = {_form(path) for path in files}
    if len(forms) > 1:
        raise DataError(f"The files are of several forms: {', '.join(sorted(forms))}. Give those of one form.")
    return forms.pop()


def _form(path: Path) -> str:
    form = FORMS.get(suffix_of(path))
    if form is None:
        raise DataError(
            f"{path.name} ends in {path.suffix!r}; tables end in {', '.join(FORMS)}, and those of text also in .csv.gz "
            "and the like. Rename or convert it."
        )
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty. Give a file with names of columns and rows.")
    return form


def one_below_the_other(files: list[Path], tables: "list[pl.LazyFrame]") -> "pl.LazyFrame":
    """Return the rows of all tables in the columns of the first; DataError where another has others."""
    import polars as pl

    if len(tables) == 1:
        return tables[0]
    first = tables[0].collect_schema()
    for path, table in zip(files, tables, strict=True):
        schema = table.collect_schema()
        lacks, more = [name for name in first if name not in schema], [name for name in schema if name not in first]
        if lacks or more:
            parts = [f"lacks {listed(lacks)}"] * bool(lacks) + [f"has {listed(more)} besides"] * bool(more)
            raise DataError(
                f"{path.name} {' and '.join(parts)}, compared with {files[0].name}. Files that are read together must "
                "have the same columns."
            )
    names = list(first)
    return pl.concat([table.select(names) for table in tables], how="vertical_relaxed")
