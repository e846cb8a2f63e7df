"""`fastmlp predict` by a model of one's own data: an answer for each row of a file; or metrics, with a file of answers.

A row of the file is a row of what is written, in its order; rows that are left out have empty cells.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console

from fastmlp.data.reading import Reading, numbers_of
from fastmlp.errors import ConfigError, DataError, MissingDataError
from fastmlp.files import replacing
from fastmlp.models import predictor
from fastmlp.models.answers import Answering, Answers
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.models.pictures import ARRAYS, read_all
from fastmlp.table import Table
from fastmlp.terminal import Compiling, is_moving, print_table, say
from fastmlp.text import csv_lines

if TYPE_CHECKING:
    from fastmlp.data.columns import Columns
    from fastmlp.data.frame import Frame

SUFFIXES = {".csv": "csv", ".json": "json"}
MOST_SHOWN = 1000  # rows, in a table to look at
_BLOCK_BYTES = 1 << 26  # of rows that are predicted together
_OWN = ("data", "target", "weights", "out", "keep", "probabilities")


class Block(NamedTuple):
    """Rows of a source in their order.

    x : (N, D) uint8 or floats, those that can be predicted; which : (N,) int64, which of `places` they are; places :
    of all rows, what stands in front of the answer
    """

    x: np.ndarray
    which: np.ndarray
    places: list[list[Any]]


def predict(args: Namespace, console: Console) -> int:
    """Run the command of these options, with progress on the console; return its exit status."""
    model = load_model(args.model)
    if model.reading is None:
        if wrong := next((name for name in _OWN if getattr(args, name)), None):
            raise ConfigError(f"--{wrong} is for models of your own data, and {args.model} is none; leave it out.")
        return predictor.predict(args, model, console)
    if args.dataset or args.data_dir:
        raise ConfigError("--dataset and --data-dir are for CIFAR's models; name your files, or --data to compare.")
    if bool(args.inputs) == bool(args.data):
        raise ConfigError("Give files to predict, or --data with the answers in it, one of them; --help has examples.")
    if args.data:
        return _compare(args, model, console)
    for name in ("target", "weights"):
        if getattr(args, name):
            raise ConfigError(f"--{name} is about the answers in --data; to predict files, leave it out.")
    return _answer(args, model, model.reading, console)


def _answer(args: Namespace, model: Model, reading: Reading, console: Console) -> int:
    if args.out is not None and args.format is not None:
        raise ConfigError("--format is of what is printed, and the end of --out's name says its own; leave one out.")
    form: str = args.format or "table"
    if args.out is not None and (form := SUFFIXES.get(args.out.suffix.lower(), "")) == "":
        raise ConfigError(f"{args.out} ends in none of {', '.join(SUFFIXES)}.")
    if args.keep and reading.form != "table":
        raise ConfigError(f"--keep names columns of a table, and this model takes {reading.form}; leave it out.")
    answers, answering = Answers.of(model, args.top, every=args.probabilities), Answering(model, args.threads)
    lead = ["source", "row"] if reading.form == "pictures" else ["row", *args.keep]
    heads = [*lead, *answers.columns]
    if twice := next((one for one in heads if heads.count(one) > 1), None):
        raise ConfigError(f"Two columns would be called {twice!r}; leave it out of --keep, or rename it in the file.")
    sources = [Path(one) for one in args.inputs]
    _check_not_among(args.out, [*sources, args.model], reading)
    told = _Told()
    blocks = _BLOCKS[reading.form](sources, model, reading, args.keep, told)
    with Compiling(console).here():  # before anything is drawn, which would be in its way
        answering(np.zeros((1, model.layers[0]), np.uint8 if model.of_images else np.float32))
    status = console.status("0 rows") if is_moving(console) and (args.out or form != "table") else nullcontext()
    count = 0
    with status as line:

        def counted() -> Iterator[tuple[Block, np.ndarray]]:
            nonlocal count
            for block in blocks:
                outputs = answering(block.x) if len(block.x) else np.empty((0, len(answers.names)))
                count += len(block.places)
                if line is not None:
                    line.update(f"{count:,} rows")
                yield block, outputs

        if args.out is not None:
            with replacing(args.out) as part:
                _write(counted(), form, answers, lead, lambda text: part.file.write(text.encode()))
        elif form == "table":
            _show(counted(), answers, lead, console)
        else:
            _write(counted(), form, answers, lead, lambda text: print(text, end=""))
    for sentence in told.sentences():
        say(Console(stderr=True), sentence)
    if args.out is not None:
        say(console, f"{args.out}: {count:,} rows.")
    return 1 if told.wrong else 0


def _check_not_among(out: Path | None, sources: Sequence[Path], reading: Reading) -> None:
    """Raise ConfigError where what is to be written is one of the files that are read."""
    from fastmlp.data.table_files import files_of

    if out is None or not out.exists():
        return
    files = [one for path in sources for one in (files_of(path) if reading.form == "table" else [path])]
    if any(one.exists() and out.samefile(one) for one in files):
        raise ConfigError(f"{out} is one of the files that are read; choose another name for --out.")


# From sources to rows.


class _Told:
    """What is said once all rows were read: columns with values that training had not, files that are left out."""

    def __init__(self) -> None:
        self.unseen: dict[str, tuple[int, str]] = {}
        self.blank, self.wrong = 0, list[str]()

    def look(self, columns: "Columns", frame: "Frame") -> None:
        """Count the values of categories that training had not."""
        from fastmlp.data.encoders import Category, level_texts

        for one in columns.encoders:
            if isinstance(one, Category):
                texts = level_texts(frame.column(one.name)).drop_nulls()
                others = texts.filter(~texts.is_in(one.levels))
                if len(others):
                    count, first = self.unseen.get(one.name, (0, others[0]))
                    self.unseen[one.name] = count + len(others), first

    def sentences(self) -> Iterator[str]:
        """Yield them."""
        for name, (count, first) in self.unseen.items():
            yield (
                f"{name!r} has values that training had not, or hardly ever, in {count:,} rows, first {first!r}: they "
                "are taken for none of those known."
            )
        if self.blank:
            yield f"{self.blank:,} rows are blank, and have no answer: their cells are empty."
        yield from self.wrong


def _of_table(sources: list[Path], model: Model, reading: Reading, keep: Sequence[str], told: _Told) -> Iterator[Block]:
    from fastmlp.data.frame import read_blocks

    columns = reading.columns
    assert columns is not None
    for block in read_blocks(sources, columns.reading, keep=keep, rows=_rows_of(model)):
        kept = block.kept.rows() if keep else [()] * block.rows
        places = [[block.first + i + 1, *cells] for i, cells in enumerate(kept)]
        x, which = np.empty((0, model.layers[0]), np.float32), np.empty(0, np.int64)
        if block.frame is not None:
            told.look(columns, block.frame)
            x, which = columns.apply(block.frame), numbers_of(block.frame) - block.first
        told.blank += block.rows - len(which)
        yield Block(x, which, places)


def _of_arrays(
    sources: list[Path], model: Model, reading: Reading, _keep: Sequence[str], told: _Told
) -> Iterator[Block]:
    read, step = reading.rows(sources), _rows_of(model)
    total = int(read.numbers[-1]) + 1 if len(read.numbers) else 0
    told.blank = total - len(read.numbers)
    for first in range(0, total, step):
        inside = (read.numbers >= first) & (read.numbers < first + step)
        places = [[i + 1] for i in range(first, min(first + step, total))]
        yield Block(read.rows[inside], read.numbers[inside] - first, places)


def _of_pictures(
    sources: list[Path], model: Model, reading: Reading, _keep: Sequence[str], told: _Told
) -> Iterator[Block]:
    from fastmlp.data.sources.picture import check_pillow, read_whole_picture
    from fastmlp.data.sources.pictures import files_of

    check_pillow()
    files: list[Path] = []
    for path in sources:
        if not path.exists():
            raise MissingDataError(f"{path} is not there. Name pictures, folders of them, or .npy files.")
        files += [path] if path.suffix.lower() in ARRAYS else files_of(path)
    if not files:
        raise DataError(f"{', '.join(map(str, sources))} holds no pictures. Name another folder, or pictures.")
    waiting, count = list[Any](), 0

    def joined() -> Block:
        x = np.concatenate([rows.x for rows in waiting])
        places = [[rows.source, rows.first + i + 1] for rows in waiting for i in range(len(rows.x))]
        return Block(x, np.arange(len(x)), places)

    def read(path: Path) -> np.ndarray:
        return read_whole_picture(path, reading.size, grey=reading.grey)

    for rows in read_all(files, model.layers[0], pictures=True, read=read):
        if rows.wrong:
            told.wrong.append(f"left out: {rows.source}: {rows.wrong}")
            continue
        waiting.append(rows)
        count += len(rows.x)
        if count >= 1024:  # one product for many pictures
            yield joined()
            waiting, count = [], 0
    if waiting:
        yield joined()


_BLOCKS: dict[str, Callable[..., Iterator[Block]]] = {
    "table": _of_table,
    "arrays": _of_arrays,
    "pictures": _of_pictures,
}


def _rows_of(model: Model) -> int:
    """Return how many rows are read and predicted together."""
    return min(max(_BLOCK_BYTES // (4 * sum(model.layers)), 256), 1 << 16)


# From answers to what is written.

_Answered = Iterator[tuple[Block, np.ndarray]]


def _lines(block: Block, outputs: np.ndarray, answers: Answers) -> list[list[Any]]:
    """Return the cells of all rows of a block, empty where there is no answer."""
    found, none = answers.cells(outputs), [""] * len(answers.columns)
    if len(found) < len(block.places):
        by_row = dict(zip(block.which.tolist(), found, strict=True))
        found = [by_row.get(i, none) for i in range(len(block.places))]
    return [[*place, *cells] for place, cells in zip(block.places, found, strict=True)]


def _write(
    answered: _Answered, form: str, answers: Answers, lead: Sequence[str], write: Callable[[str], object]
) -> None:
    if form == "csv":
        for number, (block, outputs) in enumerate(answered):
            head = [[*lead, *answers.columns]] if number == 0 else []
            write(csv_lines([*head, *_lines(block, outputs, answers)]))
        return
    separator = "[\n"
    for block, outputs in answered:
        objects: list[dict[str, Any]] = [{"prediction": None} for _ in block.places]
        for i, one in zip(block.which.tolist(), answers.objects(outputs), strict=True):
            objects[i] = one
        for place, one in zip(block.places, objects, strict=True):
            line = json.dumps(dict(zip(lead, map(_of_json, place), strict=True)) | one, default=str)
            write(separator + line.replace("\x7f", "\\u007f"))  # of the controls JSON escapes all but this
            separator = ",\n"
    write("[]\n" if separator == "[\n" else "\n]\n")


def _of_json(cell: Any) -> Any:
    """Return a kept cell, null where it is NaN or infinite, which JSON has not."""
    return None if isinstance(cell, float) and not isfinite(cell) else cell


def _show(answered: _Answered, answers: Answers, lead: Sequence[str], console: Console) -> None:
    rows = list[list[str]]()
    for block, outputs in answered:
        rows += [["" if cell is None else str(cell) for cell in line] for line in _lines(block, outputs, answers)]
        if len(rows) > MOST_SHOWN:
            break
    columns = [*lead, *answers.columns]
    if rows:
        print_table(Table([], columns, rows[:MOST_SHOWN], words=len(columns)))
    if len(rows) > MOST_SHOWN:
        say(console, f"These are the first {MOST_SHOWN:,} rows; --format csv prints all, --out FILE.csv writes them.")


# With the answers in the file.


def _compare(args: Namespace, model: Model, console: Console) -> int:
    from fastmlp.runs.metrics import METRICS, answers_of, measure

    for name, value in (
        ("out", args.out),
        ("keep", args.keep),
        ("top", args.top),
        ("probabilities", args.probabilities),
    ):
        if value:
            raise ConfigError(f"--{name} is for files to predict, and --data is compared alone; leave one out.")
    x, targets, weights, source, names = _with_targets(args, model, lambda line: say(console, line))
    with Compiling(console).here():
        step, answering = _rows_of(model), Answering(model, args.threads)
        outputs = np.concatenate([answering(x[first : first + step]) for first in range(0, len(x), step)])
    scores, table = measure(answers_of(model.kind, targets, outputs, weights)), METRICS[model.kind]
    each = [
        [name, *(metric.text(scores.each[one][k] if one in scores.each else None) for one, metric in table.items())]
        for k, name in enumerate(model.names())
        if scores.each
    ]
    rows = [["all", *(metric.text(scores.values[one]) for one, metric in table.items())], *each]
    facts = [
        f"Data: {len(x):,} rows of {source}, target {', '.join(names)}."
        + (f" Rows count by their {args.weights!r}." if args.weights else ""),
        *(f"{metric.name}: {metric.words}" for metric in table.values()),
        *(f"{name}: {note}." for name, note in scores.notes.items()),
    ]
    shown = Table(facts, ["target", *(metric.heading for metric in table.values())], rows, words=1)
    if args.format == "csv":
        print(shown.csv(), end="")
    elif args.format == "json":
        print(shown.json(), end="")
    else:
        print_table(shown)
    return 0


def _with_targets(
    args: Namespace, model: Model, tell: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str, Sequence[str]]:
    """Return rows (N, D), their targets as the model knows them, weights, the source in words, the targets' names."""
    reading = model.reading
    assert reading is not None
    own = [model.config.labels] if model.config is not None else []
    if reading.columns is not None:
        from fastmlp.data.frame import read_frame
        from fastmlp.data.targets import targets_as

        several = model.kind == "labels" or len(model.names()) > 1
        names = args.target or (model.names() if model.kind != "classes" and several else own)
        if not names:
            raise ConfigError("The model does not know what its target was called; name the column by --target.")
        texts = dict.fromkeys(names, "category") if model.kind == "classes" else {}
        frame = read_frame(args.data, target=names, weights=args.weights, known={**reading.columns.reading, **texts})
        for notice in frame.notices:
            tell(notice)
        targets = targets_as(frame, names, model.kind, model.names())
        return reading.columns.apply(frame), targets.values, frame.weight_values(), frame.source, names
    from fastmlp.data.sources.read import read_raw

    if args.weights:
        raise ConfigError(f"--weights names a column of a table, and this model takes {reading.form}; leave it out.")
    if len(args.target) > 1 or len(args.data) > 1:
        raise ConfigError("Name one source by --data and one target by --target, as in training.")
    size = {"image_size": reading.size, "grey": reading.grey} if reading.form == "pictures" else {}
    raw = read_raw(args.data[0], target=next(iter(args.target), None), task=model.kind, tell=tell, **size)
    (name,) = raw.targets
    values, there, known = raw.targets[name], raw.names[name], model.names()
    if raw.rows.shape[1] != model.layers[0] or (model.kind != "classes" and len(there) != len(known)):
        raise DataError(
            f"{args.data[0]} has rows of {raw.rows.shape[1]:,} numbers and {len(there)} {raw.kinds[name]}; this model "
            f"takes {model.layers[0]:,} and tells {len(known)}."
        )
    if model.kind == "classes":
        numbers = {one: number for number, one in enumerate(known)}
        if lacks := next((there[code] for code in np.unique(values) if there[code] not in numbers), None):
            raise DataError(f"{args.data[0]} has the class {lacks!r}, which training had not. Leave its rows out.")
        values = np.array([numbers.get(one, -1) for one in there], np.int64)[values]
    return raw.rows, values, None, raw.source, [name]
