"""Rows and targets in svmlight files, as LIBSVM's data sets are published, through scikit-learn's reader."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.data.raw import TEST, TRAIN, Raw
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.build import MOST_FEATURES, Given, raw_of
from fastmlp.data.sources.packed import DAMAGED, PACKED, unpacked
from fastmlp.data.sources.target import MOST_CLASSES
from fastmlp.errors import DataError, MissingExtraError
from fastmlp.files import opened

MOST_DENSE = 4 << 30
"""Bytes of the rows as float32, each with a number for every feature, also where the file leaves zeros out."""
SUFFIXES = (".svm", ".svmlight", ".libsvm")
_LINE = re.compile(rb"[-+\d.eE,]+( qid:\d+)?( +\d+:[-+\d.eEnaif]+)+ *(#.*)?\r?")
_HEAD = 1 << 16  # bytes in which the form of a file is looked for


def is_svmlight(path: Path) -> bool:
    """Whether a file is in svmlight's form, by the end of its name or, where that says nothing, its first line."""
    name = path.name.lower()
    name = name.removesuffix(next((one for one in PACKED if name.endswith(one)), ""))
    if not path.is_file() or name.endswith(SUFFIXES):
        return path.is_file()
    return name == path.name.lower() and any(_LINE.fullmatch(line) for line in _first_lines(path)[:1])


def read_svmlight(ask: Ask) -> Raw:
    """Read an svmlight file to dense float32 rows; NAME.t beside NAME, as LIBSVM has it, is the test part.

    Labels are classes where all are whole numbers, several labels where a line begins with several, else numbers.
    """
    try:
        from sklearn.datasets import load_svmlight_files
    except ImportError as error:
        raise MissingExtraError(
            f"Reading svmlight files needs scikit-learn ({error}): pip install 'fastmlp[sklearn]'."
        ) from error
    target = ask.target_called("target")
    beside = ask.path.with_name(f"{ask.path.name}.t")
    paths = [ask.path, beside] if beside.is_file() else [ask.path]
    many = ask.task == "labels" or any(b"," in line.split(b" ")[0] for line in _first_lines(ask.path))
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(unpacked(path)) for path in paths]
            read: Any = load_svmlight_files(files, dtype=np.float32, multilabel=many)  # type: ignore[arg-type]
    except DataError:
        raise
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of what unpacks
            raise
        raise DataError(f"it is no svmlight file that can be read ({error})") from error
    except OverflowError as error:
        raise DataError(f"the number of a feature is too large ({error})") from error
    rows, targets = read[::2], read[1::2]
    count, width = sum(one.shape[0] for one in rows), rows[0].shape[1]
    if (size := 4 * count * width) > MOST_DENSE or width > MOST_FEATURES:
        raise DataError(
            f"its {count:,} rows of {width:,} features take {size:,} bytes with their zeros; allowed are "
            f"{MOST_DENSE:,} bytes and {MOST_FEATURES:,} features. Choose features, or give it as an array of fewer "
            "columns"
        )
    parts = [None] if len(paths) == 1 else [TRAIN, TEST]
    ys, names = _labels(targets) if many else (_classes_or_numbers(targets), ())
    given = [Given(x.toarray(), y, part) for x, y, part in zip(rows, ys, parts, strict=True)]
    return raw_of(ask, given, target, "an svmlight file" if len(paths) == 1 else "svmlight files", names)


def _first_lines(path: Path) -> list[bytes]:
    """Return the lines in a file's first bytes, without comments and blank ones; none of a packed one."""
    if path.suffix.lower() in PACKED:
        return []
    with opened(path) as file:
        head = file.read(_HEAD)
    lines = head.split(b"\n")
    lines = lines[:-1] if len(head) == _HEAD else lines
    return [line for line in lines if line.strip() and not line.lstrip().startswith(b"#")]


def _classes_or_numbers(targets: list[np.ndarray]) -> list[np.ndarray]:
    whole = all((np.isfinite(y) & (y == np.round(y)) & (abs(y) < 2**53)).all() for y in targets)
    return [y.astype(np.int64) if whole else y for y in targets]


def _labels(targets: list[list[tuple[float, ...]]]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return a column of 0 and 1 for each label, part by part, and the labels' names."""
    known = sorted({label for some in targets for row in some for label in row})
    if len(known) > MOST_CLASSES or not np.isfinite(known).all():
        raise DataError(
            f"it has {len(known):,} different labels; at most {MOST_CLASSES:,} are allowed, and each must be a number"
        )
    column = {label: i for i, label in enumerate(known)}
    made = []
    for some in targets:
        y = np.zeros((len(some), len(known)), np.uint8)
        for row, labels in enumerate(some):
            y[row, [column[label] for label in labels]] = 1
        made.append(y)
    return made, tuple(f"{label:.15g}" for label in known)
