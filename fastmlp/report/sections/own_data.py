"""The section of a sweep's page on own data: how they were split, what their targets and columns are."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from fastmlp.data import Dataset
from fastmlp.report.numbers import writer
from fastmlp.report.page import Section, folded, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import counts, images
from fastmlp.report.plots.style import MOST_NAMES
from fastmlp.table import Table

PARTS = {"train": "training", "validation": "validation", "test": "test"}
MOST_PICTURES = 100  # classes of which a picture is shown
_QUANTILES = {"least": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "most": 1.0}


def section(paper: Paper) -> Section:
    """Return the section on the data set, which depends on no run."""
    dataset, understood = paper.sweep.dataset, paper.sweep.understood
    if dataset is None:
        return Section("Data", [paper.missing_data("The columns and the targets")])
    blocks = [text(f"Source: {dataset.source}. {dataset.words}")]
    blocks += [text(notice) for notice in (understood.notices if understood is not None else ())]
    if dataset.folds:
        blocks.append(text("Parts and columns below are those of the first fold; each fold learns its own."))
    for target in dict.fromkeys(run.config.labels for run in paper.sweep.runs):
        if target in dataset.kinds:  # such a run is none of these data's
            blocks += _TARGETS[dataset.kinds[target]](paper, dataset, target)
    if understood is not None and understood.table is not None:
        blocks.append("<h3>Columns, as they were understood</h3>")
        blocks.append(paper.table("columns", replace(understood.table.without_empty(), facts=())))
    elif dataset.shape is None:
        blocks.append(text(f"{dataset.width:,} features a row, {dataset.train_images.dtype}."))
    return Section("Data", blocks)


def _of_classes(paper: Paper, dataset: Dataset, target: str) -> Iterator[str]:
    names = dataset.label_names[target]
    if dataset.of_images and dataset.shape is not None and len(names) <= MOST_PICTURES:
        tiles = images.class_samples(dataset, target)
        words = "One training image of each class, drawn at random."
        yield paper.show("classes", "One image of each class", words, tiles, [])
    kind = "Images" if dataset.of_images else "Rows"
    if len(names) <= MOST_NAMES:
        make = partial(counts.classes, dataset, target)
        yield paper.draw("counts", f"{kind} by class", f"Target {target}, in all and by part.", make, [])
    parts = [np.bincount(labels[target], minlength=len(names)) for _, _, labels in dataset.parts()]
    total = np.sum(parts, axis=0)
    rows = [
        [name, *(f"{part[k]:,}" for part in parts), f"{total[k]:,}", f"{100 * total[k] / total.sum():.2f}"]
        for k, name in enumerate(names)
    ]
    columns = ["class", *(PARTS[name] for name, *_ in dataset.parts()), "total", "share in %"]
    shown = paper.table("classes", Table([f"Target {target}."], columns, rows, words=1))
    yield folded(f"{kind} by class, as a table", [shown])


def _of_labels(paper: Paper, dataset: Dataset, target: str) -> Iterator[str]:
    parts = [(PARTS[name], labels[target]) for name, _, labels in dataset.parts()]
    rows = [
        [name, *(f"{labels[:, k].sum(dtype=int):,}" for _, labels in parts),
         *(f"{100 * labels[:, k].mean():.2f}" for _, labels in parts)]
        for k, name in enumerate(dataset.label_names[target])
    ]  # fmt: skip
    columns = ["label", *(name for name, _ in parts), *(f"{name} in %" for name, _ in parts)]
    fact = f"{'Images' if dataset.of_images else 'Rows'} that have each label, by part, and their share."
    yield "<h3>Labels</h3>"
    yield paper.table("labels", Table([fact], columns, rows, words=1))


def _of_numbers(paper: Paper, dataset: Dataset, target: str) -> Iterator[str]:
    rows = []
    for k, name in enumerate(dataset.label_names[target]):
        written = None
        for part, _, labels in dataset.parts():
            values = labels[target].reshape(len(labels[target]), -1)[:, k]
            written = writer(values) if written is None else written
            found = np.quantile(values, list(_QUANTILES.values()), method="nearest")
            rows.append([name, PARTS[part], f"{len(values):,}", *map(written, found.tolist())])
    yield "<h3>Targets</h3>"
    yield paper.table("targets", Table([], ["number", "part", "rows", *_QUANTILES], rows, words=2))


_TARGETS = {"classes": _of_classes, "labels": _of_labels, "numbers": _of_numbers}
