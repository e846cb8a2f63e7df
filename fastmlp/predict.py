"""`python -m fastmlp.predict`: what a saved model says of pictures, of arrays, or of a data set's test images."""

import argparse
import csv
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastmlp.data import DATASET_NAMES, Dataset, load_dataset
from fastmlp.errors import ConfigError, FastMLPError
from fastmlp.images import Rows, find, read_all
from fastmlp.model import AS_THEY_ARE, Model
from fastmlp.model_file import load_model
from fastmlp.progress import say
from fastmlp.tables import Table

FORMATS = ("table", "json", "csv")
_EXAMPLES = """examples:
  python -m fastmlp.predict runs/all/models/RUN_ID.npz cat.jpg holiday/       pictures, and folders of them
  python -m fastmlp.predict model.npz images.npy --format csv > answers.csv   uint8 arrays (M, 32, 32, 3)
  python -m fastmlp.predict model.npz --dataset cifar100                      accuracy by class on its test images

Pictures of any size are cut to their centre square and scaled to 32 x 32. Exit status: 0; 1 where a file could not be
read, which is told and left out; 2 where nothing could be done."""


class Prediction(NamedTuple):
    """The most probable classes of one row of a file, best first."""

    source: str
    row: int
    names: list[str]
    probabilities: list[float]


class Predictor:
    """A model made ready for many calls; top : how many classes to tell."""

    def __init__(self, model: Model, top: int = 5, threads: int | None = None) -> None:
        self.model, self.network = model, model.network(threads=threads)
        self._names, self._top = model.names(), min(top, model.layers[-1])

    def __call__(self, rows: Rows) -> list[Prediction]:
        """Return the predictions of these rows."""
        if not len(rows.x):
            return []
        probabilities = self.network.predict_proba(self.model.inputs(rows.x, self.network.dtype))
        # Stable, so that of equal ones the first class comes first.
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._top]
        chosen = np.take_along_axis(probabilities, order, axis=1).tolist()
        return [
            Prediction(rows.source, rows.first + i, [self._names[k] for k in order[i]], chosen[i])
            for i in range(len(rows.x))
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    errors = Console(stderr=True)
    args = _parser().parse_args(argv)
    try:
        return _command(args, errors)
    except FastMLPError as error:
        say(errors, f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say(errors, "Stopped by Ctrl-C.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastmlp.predict",
        description="Tell the most probable classes of images, by a model that training saved.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .npz or .safetensors file")
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="pictures, .npy files, folders of them")
    parser.add_argument("--dataset", choices=DATASET_NAMES, help="a data set's test images instead")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data lies (default: the user's cache)")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to tell (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="of what is printed (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="(default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def _command(args: argparse.Namespace, errors: Console) -> int:
    if bool(args.images) == bool(args.dataset):
        raise ConfigError("Give images or --dataset, one of them; --help has examples.")
    if args.top < 1:
        raise ConfigError(f"--top is {args.top}; allowed is a whole number from 1 on.")
    # Pillow refuses what is twice as large as this; cameras do make pictures that it only warns of.
    warnings.filterwarnings("ignore", "Image size .* exceeds limit")
    model = load_model(args.model)
    predictor = Predictor(model, args.top, args.threads)
    if args.dataset:
        dataset = load_dataset(args.dataset, args.data_dir)
        kind = labels_of(model, dataset)
        if args.format == "table":
            print(class_table(predictor, dataset, kind).markdown(), end="")
        else:
            rows = Rows(f"{dataset.name}, test", dataset.test_images)
            _print(iter(predictor(rows)), args.format)
        return 0
    files = find(args.images)
    wrong: list[Rows] = []
    _print(_predictions(predictor, files, wrong, errors, quiet=args.quiet), args.format)
    for rows in wrong:
        say(errors, f"left out: {rows.source}: {rows.wrong}")
    return 1 if wrong else 0


def _predictions(
    predictor: Predictor, files: list[Path], wrong: list[Rows], errors: Console, *, quiet: bool
) -> Iterator[Prediction]:
    """Yield all predictions, in order; files that cannot be read are added to `wrong`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as bar:
        task = bar.add_task("files", total=len(files))
        pictures = predictor.model.normalize != AS_THEY_ARE
        waiting: list[Rows] = []

        def told() -> Iterator[Prediction]:
            # One product for many pictures: a network is a hundred times as fast on a thousand rows as on each alone.
            if waiting:
                joined = predictor(Rows("", np.concatenate([rows.x for rows in waiting])))
                places = [(rows.source, rows.first + i) for rows in waiting for i in range(len(rows.x))]
                for (source, row), prediction in zip(places, joined, strict=True):
                    yield prediction._replace(source=source, row=row)
                waiting.clear()

        for rows in read_all(files, predictor.model.layers[0], pictures=pictures):
            bar.advance(task, rows.first == 0)
            if rows.wrong:
                wrong.append(rows)
                continue
            waiting.append(rows)
            if sum(len(one.x) for one in waiting) >= 1024:
                yield from told()
        yield from told()


def labels_of(model: Model, dataset: Dataset) -> str:
    """Return the kind of labels that the model tells; ConfigError where the data set has none of its classes."""
    kinds = [kind for kind, names in dataset.label_names.items() if tuple(names) == model.class_names]
    if not kinds or dataset.test_images.shape[1] != model.layers[0]:
        raise ConfigError(
            f"The model's {model.layers[-1]} classes ({', '.join(model.names()[:3])}, ...) are not those of "
            f"{dataset.name}; choose the data set that it learnt from"
            + (f", {model.config.dataset}." if model.config is not None else ".")
        )
    return kinds[0]


def class_table(predictor: Predictor, dataset: Dataset, kind: str) -> Table:
    """Return accuracy and top-5 accuracy on the test images, for each class and for all of them."""
    model, labels = predictor.model, dataset.test_labels[kind]
    probabilities = predictor.network.predict_proba(model.inputs(dataset.test_images, predictor.network.dtype))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    first, among = best[:, 0] == labels, (best == labels[:, None]).any(axis=1)
    groups = [("all", np.ones(len(labels), bool)), *((n, labels == k) for k, n in enumerate(model.names()))]
    network = f"{'-'.join(map(str, model.layers))} {model.activation}"
    rows = [
        [name, str(int(group.sum())), *(f"{100 * hit[group].mean():.2f}" for hit in (first, among))]
        for name, group in groups
        if group.any()
    ]
    facts = [
        f"Model: {network}, {model.precision}, normalisation {model.normalize}, weights {model.weights_sha256[:16]}.",
        f"Data set: {dataset.name} ({dataset.source}; fingerprint {dataset.fingerprint}), {kind} labels, test images.",
        "Figures: accuracy in %, and the share whose class is among the five most probable.",
    ]
    return Table(facts, ["class", "images", "accuracy", "top 5"], rows, words=1)


def _print(predictions: Iterator[Prediction], form: str) -> None:
    """Print them as they come, save for a table, whose columns need all of them."""
    if form == "json":
        separator = "[\n"
        for one in predictions:
            top = [{"class": n, "probability": p} for n, p in zip(one.names, one.probabilities, strict=True)]
            print(separator + json.dumps({"source": one.source, "row": one.row, "top": top}), end="")
            separator = ",\n"
        print("[]" if separator == "[\n" else "\n]")
    elif form == "csv":
        writer, wrote = csv.writer(sys.stdout, lineterminator="\n"), False
        for one in predictions:
            if not wrote:
                ranks = range(1, len(one.names) + 1)
                writer.writerow(["source", "row", *(f"{what}_{i}" for i in ranks for what in ("class", "probability"))])
                wrote = True
            pairs = zip(one.names, one.probabilities, strict=True)
            writer.writerow([one.source, one.row, *(cell for name, p in pairs for cell in (name, f"{p:.6g}"))])
    else:
        every = list(predictions)
        several = {one.source for one in every if one.row > 0}
        rows = [
            [
                one.source + (f" [{one.row}]" if one.source in several else ""),
                *(f"{name} {100 * p:.1f} %" for name, p in zip(one.names, one.probabilities, strict=True)),
            ]
            for one in every
        ]
        if rows:
            columns = ["image", *map(str, range(1, len(rows[0])))]
            table = Table([], columns, rows, words=len(columns))
            console = Console()
            if console.is_terminal:
                console.print(*table.rich(console.width))
            else:
                print(table.markdown().lstrip(), end="")


if __name__ == "__main__":
    raise SystemExit(main())
