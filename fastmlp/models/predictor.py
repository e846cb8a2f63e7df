"""Predictions of a saved model on pictures, arrays, or a data set's test images: `python -m fastmlp.predict`."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastmlp.config import dashed
from fastmlp.data import Dataset, load_dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.model import Model
from fastmlp.models.pictures import Rows, find, read_all
from fastmlp.table import Table
from fastmlp.terminal import Compiling, is_moving, print_table, say
from fastmlp.text import csv_line


class Prediction(NamedTuple):
    """The most probable classes of one row of a file, best first, with their probabilities."""

    source: str
    row: int
    names: list[str]
    probabilities: list[float]


class Predictor:
    """A model of classes with its network, made once for many calls; top : how many classes a prediction has."""

    def __init__(self, model: Model, top: int = 5, threads: int | None = None) -> None:
        self.model, self.network = model, model.network(threads=threads)
        self._names, self._top = model.names(), min(top, model.layers[-1])

    def __call__(self, rows: Rows) -> list[Prediction]:
        """Return a prediction for each of these rows."""
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

    def compile(self) -> None:
        """Compile the kernels that predictions of images need, by one on a black image."""
        self(Rows("", np.zeros((1, self.model.layers[0]), np.uint8)))


def predict(args: Namespace, model: Model, console: Console) -> int:
    """Run the command of these options for a model of images or arrays, with progress on the console.

    Return its exit status: 1 where a file could not be read, else 0.
    """
    if bool(args.inputs) == bool(args.dataset):
        raise ConfigError("Give images or --dataset, one of them; --help has examples.")
    if args.data_dir is not None and not args.dataset:
        raise ConfigError("--data-dir is where --dataset lies, which is missing; give that too, or leave both away.")
    if not model.loss.of_classes:
        raise ConfigError(
            f"{args.model} has a network with loss {model.loss.name}, and this command tells classes; allowed are "
            "models with loss cross-entropy. In Python, fastmlp.load_model(path).predict(x) has the others' answers."
        )
    predictor, compiling = Predictor(model, args.top or 5, args.threads), Compiling(console)
    form = args.format or "table"
    if args.dataset:
        dataset = load_dataset(args.dataset, args.data_dir)
        kind = labels_of(model, dataset)
        with compiling.here():
            predictor.compile()
        if form == "table":
            print(class_table(predictor, dataset, kind).markdown(), end="")
        else:
            rows = Rows(f"{dataset.name}, test", dataset.test_images)
            _print(iter(predictor(rows)), form)
        return 0
    files = find(args.inputs)
    wrong: list[Rows] = []
    with compiling.here():  # before a bar is drawn, which would be in its way
        predictor.compile()
    _print(_predictions(predictor, files, wrong, console), form)
    for rows in wrong:
        say(Console(stderr=True), f"left out: {rows.source}: {rows.wrong}")
    return 1 if wrong else 0


def _predictions(predictor: Predictor, files: list[Path], wrong: list[Rows], console: Console) -> Iterator[Prediction]:
    """Yield all predictions, in order; files that cannot be read are added to `wrong`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Answers that go to a file while the bar is on a terminal must not be drawn above it.
    ways = {"transient": True, "disable": not is_moving(console), "redirect_stdout": sys.stdout.isatty()}
    with Progress(*columns, console=console, **ways) as bar:
        task = bar.add_task("files", total=len(files))
        pictures = predictor.model.of_images
        waiting: list[Rows] = []

        def joint() -> Iterator[Prediction]:
            # One product for many pictures: a network is a hundred times as fast on a thousand rows as on each alone.
            if not waiting:
                return
            try:
                joined = predictor(Rows("", np.concatenate([rows.x for rows in waiting])))
            except DataError:  # of numbers that the network cannot take: which file has them?
                for rows in waiting:
                    try:
                        yield from predictor(rows)
                    except DataError as error:
                        wrong.append(replace(rows, wrong=str(error)))
            else:
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
                yield from joint()
        yield from joint()


def labels_of(model: Model, dataset: Dataset) -> str:
    """Return the kind of labels that the model predicts; ConfigError where the data set has not these classes."""
    kinds = [kind for kind, names in dataset.label_names.items() if tuple(names) == model.class_names]
    if not kinds or dataset.test_images.shape[1] != model.layers[0]:
        raise ConfigError(
            f"The model's {model.layers[-1]} classes ({', '.join(model.names()[:3])}, ...) are not those of "
            f"{dataset.name}; choose the data set that it learnt from"
            + (f", {model.config.dataset}." if model.config is not None else ".")
        )
    return kinds[0]


def class_table(predictor: Predictor, dataset: Dataset, kind: str) -> Table:
    """Return a table of accuracy and top-5 accuracy in % on the test images, for each class and for all of them."""
    model, labels = predictor.model, dataset.test_labels[kind]
    probabilities = predictor.network.predict_proba(model.inputs(dataset.test_images, predictor.network.dtype))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    first, among = best[:, 0] == labels, (best == labels[:, None]).any(axis=1)
    groups = [("all", np.ones(len(labels), bool)), *((n, labels == k) for k, n in enumerate(model.names()))]
    network = f"{dashed(model.layers)} {dashed(model.activation)}"
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
    """Print predictions as JSON or CSV, each as it comes, or as a table once all are known."""
    if form == "json":
        separator = "[\n"
        for one in predictions:
            top = [{"class": n, "probability": p} for n, p in zip(one.names, one.probabilities, strict=True)]
            line = json.dumps({"source": one.source, "row": one.row, "top": top})
            print(separator + line.replace("\x7f", "\\u007f"), end="")  # of the controls JSON escapes all but this
            separator = ",\n"
        print("[]" if separator == "[\n" else "\n]")
    elif form == "csv":
        wrote = False
        for one in predictions:
            if not wrote:
                ranks = range(1, len(one.names) + 1)
                head = ["source", "row", *(f"{what}_{i}" for i in ranks for what in ("class", "probability"))]
                print(csv_line(head), end="")
                wrote = True
            pairs = zip(one.names, one.probabilities, strict=True)
            print(csv_line([one.source, one.row, *(cell for n, p in pairs for cell in (n, f"{p:.6g}"))]), end="")
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
            print_table(Table([], columns, rows, words=len(columns)))
