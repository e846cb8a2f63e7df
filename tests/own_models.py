"""Tables with columns of all kinds, written as files, and models of random weights that read them."""

import csv
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from fastmlp.data.own import Own, load_own
from fastmlp.models.model import Model
from fastmlp.nn.loss import loss_named

NAMES = {"classes": "bought", "numbers": "price", "labels": ("red", "green")}
LOSSES = {"classes": "cross-entropy", "numbers": "squared-error", "labels": "logistic"}


def table_rows(count, seed=0):
    """Return rows by column of a table: an id, a number that may be missing, categories, and all targets."""
    rng = np.random.default_rng(seed)
    age, income = rng.integers(18, 80, count), rng.normal(50, 20, count).round(3)
    city = rng.choice(["Rome", "Oslo", "Bern, the capital"], count)
    return [
        {
            "name": f"person {i}",
            "age": "" if i % 17 == 5 else str(age[i]),
            "city": str(city[i]),
            "member": "" if i % 13 == 3 else str(rng.choice(["yes", "no", "True"])),
            "income": str(income[i]),
            "bought": "yes" if age[i] + income[i] > 100 else "no",
            "price": str(round(2 * income[i] + age[i], 2)),
            "red": int(age[i] > 40),
            "green": int(income[i] > 50),
        }
        for i in range(count)
    ]


def write_table(path, rows):
    """Write rows as CSV; return the path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def own_of(path, kind="classes", **more):
    """Return what a command would say of the table at a path, to learn a target of this kind."""
    target = NAMES[kind] if kind == "labels" else (NAMES[kind],)
    left_out = {"bought", "price", "red", "green"} - set(target)
    columns = ",".join(["name=drop", *(f"{name}=drop" for name in sorted(left_out))])
    values: dict[str, Any] = {"columns": columns} | more
    return Own(data=str(path), target=target, **values)


def random_model(dataset, hidden=(7,)):
    """Return a model of a data set of one's own, of random weights."""
    (key,) = dataset.label_names
    kind, names = dataset.kinds[key], dataset.label_names[key]
    layers = (dataset.width, *hidden, len(names))
    rng = np.random.default_rng(3)
    count = sum((d + 1) * h for d, h in pairwise(layers))
    return Model(
        layers,
        "relu",
        "float32",
        rng.normal(0, 0.5, count).astype(np.float32),
        "image" if dataset.of_images else "none",
        class_names=names,
        loss=loss_named(LOSSES[kind]),
        shape=dataset.shape,
        features=dataset.features,
        target_moments=np.array([[100.0] * len(names), [40.0] * len(names)]) if kind == "numbers" else None,
        reading=dataset.reading,
    )


def table_model(folder, kind="classes", **more):
    """Return a model of the table that is written into a folder as train.csv."""
    path = write_table(folder / "train.csv", table_rows(300))
    return random_model(load_own(replace(own_of(path, kind), **more)))
