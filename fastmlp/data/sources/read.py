"""The door to all readers: what lies at a path is recognised, and read by the one that knows it."""

import glob
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmlp.data.raw import TRAIN, Raw
from fastmlp.data.sources import arrays, idx, named, pictures, svmlight
from fastmlp.data.sources.ask import Ask
from fastmlp.data.table_files import suffix_of
from fastmlp.errors import ConfigError, DataError, FastMLPError, MissingDataError, suggestion

TABLES = (".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather", ".ipc")


class Reader(NamedTuple):
    """A kind of source: what it is in words, whether it lies at a path, and what reads it."""

    words: str
    is_there: Callable[[Path], bool]
    read: Callable[[Ask], Raw]


NAMED = {"sklearn": named.read_bundled, "openml": named.read_openml}
# The first that takes a path reads it: names before contents.
READERS = (
    Reader("an .npz file", lambda path: path.suffix.lower() == ".npz" and path.is_file(), arrays.read_npz),
    Reader(f"a folder of .npy files ({arrays.NAMES_ALLOWED})", arrays.is_folder_of_arrays, arrays.read_folder),
    Reader("IDX files, *-ubyte or *-ubyte.gz, or their folder", idx.is_idx, idx.read_idx),
    Reader("a folder of class folders of pictures", pictures.is_folder_of_pictures, pictures.read_folder),
    Reader("a CSV of picture files and labels", pictures.is_list_of_pictures, pictures.read_list),
    Reader(f"an svmlight file ({', '.join(svmlight.SUFFIXES)})", svmlight.is_svmlight, svmlight.read_svmlight),
)
ALLOWED = (
    f"{', '.join(one.words for one in READERS)}, sklearn:NAME, openml:NAME, and a table ({', '.join(TABLES)}, a text "
    "also packed as .csv.gz; or a pattern of such files)"
)


def is_table(path: str | Path) -> bool:
    """Whether a path is a table by its name, or a pattern that only tables match; a CSV of picture files is none."""
    given = Path(path).expanduser() if str(path).startswith("~") else Path(path)
    if suffix_of(given) in TABLES:
        return not pictures.is_list_of_pictures(given)
    if given.exists() or not glob.has_magic(str(given)):
        return False
    found = glob.glob(str(given))  # noqa: PTH207 - of a path that may be absolute, which Path.glob refuses
    return bool(found) and all(suffix_of(Path(one)) in TABLES for one in found)


def read_raw(
    path: str | Path,
    *,
    target: str | None = None,
    task: str | None = None,
    image_size: int = 32,
    grey: bool = False,
    cache: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Raw:
    """Read rows and targets from what lies at a path, or from a named set; where `is_table`, it is not for this.

    target : name of the array or column of targets, where there are several; task : "classes", "labels" or "numbers"
        where that is to be another one than the target looks like, as in `fastmlp.data.sources.target.target_of`
    image_size, grey : side in pixels and colours of pictures, as in `fastmlp.data.sources.picture.read_whole_picture`
    cache : folder for decoded pictures; None: `pictures` in `fastmlp.data.cache_dir()`. It must not be in the data's
    tell(line) : told what takes long, what is left out and why

    Raises MissingDataError where nothing is there, DataError for what cannot be read, ConfigError for an argument that
    is not allowed, MissingExtraError where a library is missing, OutputError where the cache cannot be written to.
    """
    if not str(path):
        raise ConfigError(f"The path of the data is empty; allowed are {ALLOWED}.")
    scheme = str(path).partition(":")[0]
    try:
        place = Path(path) if scheme in NAMED else Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path} is no path ({error}).") from error
    ask = Ask(place, target, task, image_size, grey, cache, tell)
    try:
        raw = (NAMED.get(scheme) or _reader(place))(ask)
        _tell_unlearnt(raw, tell)
        return raw
    except DataError as error:
        raise DataError(f"{path}: {error}{'' if str(error).endswith('.') else '.'}") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into this machine's memory. Give fewer rows or columns.") from error
    except OSError as error:
        if isinstance(error, FastMLPError):
            raise
        reason = "permission denied. Check who owns it" if isinstance(error, PermissionError) else error.strerror
        raise DataError(f"{error.filename or path} cannot be read: {reason}.") from error


def is_pictures(path: str | Path) -> bool:
    """Whether what lies at a path is read as pictures: a folder of class folders, or a CSV of picture files."""
    place = Path(path).expanduser() if str(path).startswith("~") else Path(path)
    reader = next((one for one in READERS if place.exists() and one.is_there(place)), None)
    return reader is not None and reader.read in (pictures.read_folder, pictures.read_list)


def read_rows(path: Path) -> np.ndarray | None:
    """Return the rows (M, ...), of any dtype, in a .npy or .npz file that may have no targets; None for other files.

    Of several arrays that is the one called x, data, features or images, also with a part's name as in x_test.
    """
    try:
        return arrays.rows_alone(path)
    except DataError as error:
        raise DataError(f"{path}: {error}.") from error
    except OSError as error:
        if isinstance(error, FastMLPError) or not path.exists():
            raise MissingDataError(f"{path} is not there.{_near(path)} Name a file or a folder of data.") from error
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _reader(path: Path) -> Callable[[Ask], Raw]:
    if not path.exists():
        raise MissingDataError(f"{path} is not there.{_near(path)} Name a file or a folder of data.")
    if is_table(path):
        raise DataError("it is a table, which is read by its columns")
    reader = next((one for one in READERS if one.is_there(path)), None)
    if reader is None:
        what = f"a folder with {pictures.held(path)}" if path.is_dir() else "none that is known"
        raise DataError(f"it is {what}. Allowed are {ALLOWED}")
    return reader.read


def _tell_unlearnt(raw: Raw, tell: Callable[[str], None]) -> None:
    """Tell of classes that only other rows than those for training have."""
    for name in (name for name, kind in raw.kinds.items() if kind == "classes" and raw.part is not None):
        counts = np.bincount(raw.targets[name][raw.part == TRAIN], minlength=len(raw.names[name]))
        if (missing := np.flatnonzero(counts == 0)).size:
            first = ", ".join(repr(raw.names[name][code]) for code in missing[:10])
            tell(f"{missing.size:,} of {len(counts):,} classes of {name} have no row for training: {first}.")


def _near(path: Path) -> str:
    try:
        return suggestion(path.name, (one.name for one in path.parent.iterdir()))
    except OSError:
        return ""
