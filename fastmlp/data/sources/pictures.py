"""Folders of class folders, and CSV files of path and label: pictures of any size, as rows of one size."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmlp.data.raw import PARTS, Raw
from fastmlp.data.sources.arrays import PART_WORDS
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.decoded import Pictures, cache_folder, decoded
from fastmlp.data.sources.picture import SUFFIXES
from fastmlp.data.sources.target import target_of
from fastmlp.errors import ConfigError, DataError, suggestion
from fastmlp.files import opened, read_small

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "picture")
LABEL_COLUMNS = ("label", "class", "target")
PART_COLUMNS = ("split", "part")
MOST_CSV = 1 << 30
_HEAD = 1 << 16  # bytes of a CSV in which its form is looked for


class _Found(NamedTuple):
    """One picture: its file's name below the root, its label, its part where one is said."""

    name: str
    label: str
    part: int | None


def is_folder_of_pictures(path: Path) -> bool:
    """Whether a folder holds a picture, or any folder in it does; what begins with a dot is not looked at."""
    return path.is_dir() and any(_is_picture(name) for name in _walk(path))


def is_list_of_pictures(path: Path) -> bool:
    """Whether a file is a CSV with a column of picture files: one of `PATH_COLUMNS`, the first cell of which is one."""
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return False
    try:
        with opened(path) as file:
            head = file.read(_HEAD).decode("utf-8-sig", "replace").splitlines(keepends=True)
        rows = [row for row in csv.reader(head[:3], delimiter=_delimiter(head[0])) if row]
        column = _column_of_paths(rows[0])
        return column is not None and _is_picture(rows[1][column])
    except (OSError, DataError, csv.Error, IndexError):
        return False


def read_folder(ask: Ask) -> Raw:
    """Read a folder of class folders, or one of train/ and test/ (and val/) with class folders in each."""
    target = ask.target_called("class")
    parts = _part_folders(ask)
    found = [one for part, folder in parts for one in _in_classes(ask, folder, part)]
    if not found:
        raise DataError(
            f"it holds {held(ask.path)}, and no picture in a class folder. Expected are folders, each named after its "
            f"class, with files of {', '.join(SUFFIXES)}, or train/ and test/ with such folders in each"
        )
    if others := _counted(name for name in _walk(ask.path) if not _is_picture(name)):
        ask.tell(f"Left out {others}, which are none of {', '.join(SUFFIXES)}.")
    return _raw(ask, ask.path, found, target, f"pictures of class folders, {_form(ask)}", typed=False)


def read_list(ask: Ask) -> Raw:
    """Read a CSV with a column of picture files, which lie where it lies, and a column of labels."""
    found, target, others = _listed(ask)
    if others:
        ask.tell(f"Left out the columns {', '.join(others)}: a row is a picture.")
    return _raw(ask, ask.path.parent, found, target, f"pictures listed in a CSV file, {_form(ask)}", typed=True)


def files_of(path: Path) -> list[Path]:
    """Return the picture files that a path is: itself, all below a folder in order, or those that a CSV lists."""
    if path.is_dir():
        return [path / name for name in _walk(path) if _is_picture(name)]
    if not is_list_of_pictures(path):
        return [path]
    with opened(path) as file:
        text = file.read(MOST_CSV).decode("utf-8-sig", "replace")
    rows = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0])) if row
    ]
    column = _column_of_paths(rows[0])
    assert column is not None  # or it was no list of pictures
    return [path.parent / row[column].strip() for row in rows[1:] if len(row) > column]


def _form(ask: Ask) -> str:
    return f"{ask.image_size} x {ask.image_size} pixels, {'grey' if ask.grey else 'in colour'}"


def _raw(ask: Ask, root: Path, found: list[_Found], target: str, source: str, *, typed: bool) -> Raw:
    # All that can be wrong with the labels comes first: to decode the pictures may take hours.
    labels = [one.label for one in found]
    if len(set(labels)) == 1:
        raise DataError(
            f"all its {len(found):,} pictures are of one {target}, {labels[0]!r}: there is nothing to learn. Two are "
            "needed at least"
        )
    y = target_of(_typed(labels) if typed or ask.task == "numbers" else np.array(labels), target, ask.task)
    pictures = Pictures(root, [one.name for one in found], ask.image_size, ask.grey)
    folders = {(root / one.name).parent for one in found} if typed else {root}
    made = decoded(pictures, cache_folder(ask.cache, folders), ask.tell)
    parts = [found[number].part for number in made.kept]
    return Raw(
        rows=made.rows,
        targets={target: y.values[made.kept]},
        kinds={target: y.kind},
        names={target: y.names},
        shape=(1 if ask.grey else 3, ask.image_size, ask.image_size),
        features=(),
        source=source,
        part=None if None in parts else np.array(parts, np.uint8),
    )


def _typed(labels: list[str]) -> np.ndarray:
    """Return labels (M,) as integers or floats where all are such, else, also where one begins with 0, as text."""
    try:
        whole = [int(label) for label in labels]
        values = np.array(whole)
        return values if values.dtype.kind == "i" and list(map(str, whole)) == labels else np.array(labels)
    except ValueError:
        pass
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return np.array(labels)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _walk(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, relative to it, in order, but what is hidden or in such a folder."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        below = os.path.relpath(place, folder)
        for name in sorted(files):
            if not name.startswith("."):
                yield name if below == "." else f"{below}{os.sep}{name}"


def _folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _part_folders(ask: Ask) -> list[tuple[int | None, Path]]:
    """Return the folders of class folders by part, or the folder itself.

    train/ is a part where it holds folders, and no picture itself, so that there may be a class of trains.
    """
    by_part = [(PART_WORDS.get(one.name.lower()), one) for one in _folders(ask.path)]
    parts = [(part, one) for part, one in by_part if part is not None]
    train = [one for part, one in parts if part == 0]
    if not train or any(_is_picture(one.name) for one in train[0].iterdir()) or not _folders(train[0]):
        if by_part and len(parts) == len(by_part) and len(parts) > 1:
            raise DataError(
                f"{', '.join(one.name for _, one in parts)} hold no class folders for training. Expected is a folder "
                "for each class in train/, and the same in the others"
            )
        return [(None, ask.path)]
    if len({part for part, _ in parts}) < len(parts):
        raise DataError(f"it holds {', '.join(one.name for _, one in parts)}, two of which are the same part")
    if others := [one.name for part, one in by_part if part is None]:
        ask.tell(f"Left out {', '.join(others)}, which {'is' if len(others) == 1 else 'are'} no part beside train/.")
    return sorted(parts)


def _in_classes(ask: Ask, folder: Path, part: int | None) -> Iterator[_Found]:
    loose = sum(_is_picture(one.name) and not one.name.startswith(".") for one in folder.iterdir())
    if loose:
        where = "" if part is None else f" of the {PARTS[part]} part"
        ask.tell(f"Left out {loose:,} pictures{where} that lie in no class folder.")
    for one in _folders(folder):
        for name in _walk(one):
            if _is_picture(name):
                yield _Found(os.fspath((one / name).relative_to(ask.path)), one.name, part)


def held(folder: Path) -> str:
    """Return what a folder holds, by the ends of the names."""
    return _counted(_walk(folder)) or "no files"


def _counted(names: Iterable[str]) -> str:
    counts = Counter(Path(name).suffix.lower() or "files without an end to their name" for name in names)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(5))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _column_of_paths(header: list[str]) -> int | None:
    return next((i for i, name in enumerate(header) if name.strip().lower() in PATH_COLUMNS), None)


def _listed(ask: Ask) -> tuple[list[_Found], str, list[str]]:
    """Return the pictures of a list, the name of their target, and those of the columns that are not used."""
    try:
        text = read_small(ask.path, MOST_CSV).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start:,} of it is no UTF-8. Save it in that encoding") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        path, label, part = _columns(ask, header)
        found = [_row(row, header, path, label, part, reader.line_num) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"line {reader.line_num:,} of it is no CSV ({error})") from error
    if not found:
        raise DataError("it has a header, and no line after it")
    missing = [one.name for one in found if not (ask.path.parent / one.name).is_file()]
    if missing:
        raise DataError(
            f"{len(missing):,} of its {len(found):,} pictures are not there, the first is {missing[0]}. Its paths are "
            "looked for in the folder that it lies in"
        )
    return found, header[label], [name for i, name in enumerate(header) if i not in (path, label, part)]


def _columns(ask: Ask, header: list[str]) -> tuple[int, int, int | None]:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"it has two columns called {twice[0]!r}; each must have its own name")
    path = _column_of_paths(header)
    assert path is not None  # or it was no list of pictures
    part = next((i for i, name in enumerate(header) if name.lower() in PART_COLUMNS and name != ask.target), None)
    others = {name: i for i, name in enumerate(header) if i not in (path, part)}
    if ask.target is not None:
        if ask.target not in others:
            raise ConfigError(
                f"target is {ask.target!r}; the columns are {', '.join(others) or 'none but the path'}."
                f"{suggestion(ask.target, others)}"
            )
        return path, others[ask.target], part
    usual = [i for name, i in others.items() if name.lower() in LABEL_COLUMNS]
    chosen = usual if len(others) > 1 else list(others.values())
    if len(chosen) != 1:
        raise DataError(
            f"its columns are {', '.join(header)}, and none of them alone is called {', '.join(LABEL_COLUMNS)}: name "
            "one as the target"
        )
    return path, chosen[0], part


def _row(row: list[str], header: list[str], path: int, label: int, part: int | None, line: int) -> _Found:
    if len(row) != len(header):
        raise DataError(f"line {line:,} has {len(row)} cells, and the header {len(header)}")
    cells = [cell.strip() for cell in row]
    for column in (path, label):
        if not cells[column] or "\0" in cells[column]:
            raise DataError(f"line {line:,} has no {header[column]}")
    if part is None:
        return _Found(cells[path], cells[label], None)
    if cells[part].lower() not in PART_WORDS:
        raise DataError(f"line {line:,} has {header[part]} {cells[part]!r}; allowed are {', '.join(PART_WORDS)}")
    return _Found(cells[path], cells[label], PART_WORDS[cells[part].lower()])
