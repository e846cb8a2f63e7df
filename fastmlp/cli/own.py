"""Own data in the command: from its options to the data set, and what was understood of them, before training."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console

from fastmlp.cli.plan import OWN
from fastmlp.config import RunConfig, dashed
from fastmlp.data import Dataset
from fastmlp.data.own import Loaded, Own, load_understood
from fastmlp.data.room import amount, free_memory
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.sweep.plan import Plan
from fastmlp.sweep.size import size_of
from fastmlp.terminal import say

TASKS = {"classes": "classification", "labels": "several labels", "numbers": "regression"}
_MOST_COLUMNS = 40  # that are shown
_MOST_NAMES = 12


def own_of(args: Namespace) -> Own:
    """Return what the options say of own data."""
    given: dict[str, Any] = {name: value for name in OWN if (value := getattr(args, name)) is not None}
    if "target" in given:
        given["target"] = tuple(given["target"])
    return Own(data=args.data, **given)


def loaded(args: Namespace, console: Console) -> Loaded:
    """Read the data of `--data`."""
    return load_understood(own_of(args), lambda line: say(console, line))


def show(console: Console, found: Loaded) -> None:
    """Print what was understood of own data: rows, columns by kind, target, and parts."""
    dataset, table = found.dataset, found.table
    rows = max(outline.rows for outline in dataset.outlines.values())  # in an order, of the last fold
    what = f"images of {'x'.join(map(str, dataset.shape))} values" if dataset.shape else f"{dataset.width:,} features"
    say(console, f"Data: {dataset.source}, {rows:,} rows of {what}, {dataset.train_images.dtype}; fingerprint "
        f"{dataset.fingerprint}.")  # fmt: skip
    for notice in found.notices:
        say(console, notice)
    if table is not None and not console.quiet:
        shown = replace(table, facts=(), rows=table.rows[:_MOST_COLUMNS]).without_empty()
        if console.is_terminal:
            console.print(*shown.rich(console.width))
        else:
            console.out(shown.markdown(), end="", highlight=False)
        if len(table.rows) > _MOST_COLUMNS:
            say(console, f"And {len(table.rows) - _MOST_COLUMNS:,} more columns.")
    (target,) = dataset.label_names
    first = " of the first fold" if dataset.folds else ""
    say(console, f"Target {target}: {TASKS[dataset.kinds[target]]}, {_about(dataset, target)}{first}.")
    say(console, f"Split: {dataset.words}")


def _about(dataset: Dataset, target: str) -> str:
    """Return the classes, labels or numbers of the training part in words."""
    kind, names, values = dataset.kinds[target], dataset.label_names[target], dataset.train_labels[target]
    if kind == "numbers":
        columns = values.reshape(len(values), -1)
        each = [f"{name} {one.min():g} to {one.max():g}, mean {one.mean():g}"
                for name, one in zip(names, columns.T, strict=True)]  # fmt: skip
        return _listed(each, "; ")
    counts = np.bincount(values, minlength=len(names)) if kind == "classes" else values.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    each = [f"{names[i]} {100 * counts[i] / len(values):.1f} %" for i in order]
    return f"{len(names):,} {kind}: {_listed(each, ', ')} of the training rows"


def _listed(each: Sequence[str], between: str) -> str:
    more = f" and {len(each) - _MOST_NAMES:,} more" if len(each) > _MOST_NAMES else ""
    return between.join(each[:_MOST_NAMES]) + more


def network_words(configs: Sequence[RunConfig]) -> str:
    """Return the networks and their training in a sentence."""
    first = configs[0]
    shown = [config for config in configs if config.fold == first.fold]
    sizes = {config.layers: sum((a + 1) * b for a, b in zip(config.layers, config.layers[1:], strict=False))
             for config in shown}  # fmt: skip
    nets = [f"{dashed(layers)} ({count:,} weights)" for layers, count in sizes.items()]
    usual = [OPTIMIZERS[first.optimizer].__name__, f"lr {first.lr:g}", f"weight decay {first.weight_decay:g}"]
    usual += [f"dropout {first.dropout:g}"] if first.dropout else []
    more = "" if len(configs) == 1 else f" (the first of {len(configs):,} runs)"
    return (
        f"Network: {_listed(nets, ', ')}, {dashed(first.activation)}, loss {first.loss}; {', '.join(usual)}, "
        f"batch {first.batch_size}, up to {first.epochs} epochs, patience {first.patience}{more}."
    )


def memory_words(plan: Plan, dataset: Dataset) -> str:
    """Return in a sentence the memory that the rows and the runs take, and what is free."""
    rows = sum(part.nbytes for _, part, _ in dataset.parts())
    each = max(sum(size_of(config, dataset)) for config in plan.configs)
    jobs, free = min(plan.jobs, len(plan.configs)), free_memory()
    runs = "a run" if jobs == 1 else f"each of {jobs} runs at once"
    words = f"Memory: {amount(rows)} for the rows, which all runs share, and about {amount(each)} for {runs}"
    if free is None:
        return f"{words}."
    more = " That may be too much: fewer --jobs need less." if each * jobs > free else ""
    return f"{words}; {amount(free)} are free.{more}"
