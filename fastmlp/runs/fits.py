"""The check of runs' configs against the data set, before anything is trained."""

from collections.abc import Iterable

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset
from fastmlp.data.dataset import check_target_named
from fastmlp.data.normalize import AS_THEY_ARE, STANDARD
from fastmlp.errors import ConfigError
from fastmlp.nn.loss import LOSSES_OF, outputs_of

# What is the last size of a network's layers, in words, by the kind of its targets.
_OUTPUTS = {"classes": "the classes", "labels": "the labels", "numbers": "the numbers"}


def check_fits(configs: Iterable[RunConfig], dataset: Dataset) -> None:
    """Raise DataError for data that `Dataset.check` refuses, and ConfigError for a config that does not fit them."""
    by_fold: dict[int, list[RunConfig]] = {}
    for config in configs:
        if config.dataset != dataset.name:
            raise ConfigError(
                f"dataset is {config.dataset!r} in a config, and the data set is called {dataset.name!r}."
            )
        by_fold.setdefault(config.fold, []).append(config)
    for fold, one in dataset.each_fold():
        one.check()
        for config in by_fold.pop(fold, []):
            check_config(config, one)
    for fold in by_fold:
        dataset.of_fold(fold)  # which refuses it


def check_config(config: RunConfig, dataset: Dataset) -> None:
    """Raise ConfigError for a config whose target, loss, layers or normalisation do not fit the data, its fold's."""
    check_target_named(dataset, config.labels)
    kind, width, names = dataset.kinds[config.labels], dataset.width, len(dataset.label_names[config.labels])
    losses = [name for name in LOSSES_OF[kind] if name != "logistic" or kind != "classes" or names == 2]
    if config.loss not in losses:
        raise ConfigError(f"loss is {config.loss!r}; allowed for {config.labels}, {kind}, is {' or '.join(losses)}.")
    outputs = outputs_of(config.loss, kind, names)
    if (config.layers[0], config.layers[-1]) != (width, outputs):
        value = "the values of an image" if dataset.of_images else "the features"
        raise ConfigError(
            f"layers is {config.layers}; on {dataset.name} with its {config.labels} {'labels ' * (kind == 'classes')}"
            f"the first must be {width}, {value}, and the last {outputs}, {_OUTPUTS[kind]}."
        )
    if config.loss == "poisson" and (least := float(dataset.train_labels[config.labels].min())) < 0:
        raise ConfigError(f"loss is 'poisson', and {config.labels} goes down to {least:g}; allowed are 0 and more.")
    allowed = (*NORMALIZATIONS,) if dataset.of_images else (STANDARD, AS_THEY_ARE)
    if config.normalize not in allowed:
        rows = f"{dataset.train_images.dtype} features" * (not dataset.of_images) or "images"
        raise ConfigError(f"normalize is {config.normalize!r}; allowed for {rows} is {' or '.join(allowed)}.")
    if config.augment != "none" and not (dataset.of_images and dataset.shape):
        what = "features" if not dataset.of_images else f"images of {width} values, whose Dataset has no shape,"
        raise ConfigError(f"augment is {config.augment!r}; allowed for {what} is 'none'.")
