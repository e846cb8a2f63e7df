"""One training run, from a config and a data set to its result."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset, split_indices
from fastmlp.fit import FitResult, History, fit
from fastmlp.inputs import ImageInput
from fastmlp.network import MLP
from fastmlp.optimizer import SGD
from fastmlp.results import RunResult


class _Part(NamedTuple):
    inputs: ImageInput
    labels: np.ndarray


def run_one(
    config: RunConfig,
    dataset: Dataset,
    *,
    on_epoch: Callable[[int, History], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> RunResult:
    """Train and test one network; `on_epoch` and `on_batch` are those of `fastmlp.fit.fit`.

    All random numbers come from one generator, in this order: the split, the weights, the shuffling. So runs of the
    same seed share their split. The test images are looked at once, with the weights of the best validation loss, and
    not at all where the run diverged.
    """
    rng = np.random.default_rng(config.seed)
    train, validation, test = _parts(config, dataset, rng)
    model = MLP(
        config.layers,
        config.activation,
        init=config.init,
        precision=config.precision,
        matmul=config.matmul,
        threads=config.threads,
        rng=rng,
    )
    fitted = fit(
        model,
        train.inputs,
        train.labels,
        validation=validation,
        optimizer=SGD(config.lr, config.momentum, config.weight_decay),
        epochs=config.epochs,
        batch_size=config.batch_size,
        patience=config.patience,
        rng=rng,
        on_epoch=on_epoch,
        on_batch=on_batch,
    )
    diverged = fitted.status == "diverged"
    return _result(config, fitted, (math.nan, math.nan) if diverged else model.evaluate(*test))


def compile_for(config: RunConfig) -> None:
    """Compile what a run of this config needs, by one on a few random images."""
    rng, classes = np.random.default_rng(0), 2
    images, labels = rng.integers(0, 256, (8, config.layers[0]), np.uint8), {config.labels: np.arange(8) % classes}
    names = {config.labels: ("a", "b")}
    tiny = Dataset("tiny", images, labels, images, labels, names, source="random numbers")
    units = [min(h, 3) for h in config.layers[1:-1]]
    small = {"layers": (config.layers[0], *units, classes), "batch_size": 4, "epochs": 1, "validation_fraction": 0.5}
    run_one(replace(config, **small), tiny)


def _parts(config: RunConfig, dataset: Dataset, rng: np.random.Generator) -> tuple[_Part, _Part, _Part]:
    """Return the training, validation and test parts, none of which copies an image."""
    labels = dataset.train_labels[config.labels]
    train, validation = split_indices(len(labels), config.validation_fraction, rng)
    moments, dtype = NORMALIZATIONS[config.normalize], np.float64 if config.precision == "float64" else np.float32
    train_moments = moments(dataset.train_images, train, dataset.train_images, dtype)
    test_moments = moments(dataset.train_images, train, dataset.test_images, dtype)
    return (
        _Part(ImageInput(dataset.train_images, *train_moments, rows=train), labels[train]),
        _Part(ImageInput(dataset.train_images, *train_moments, rows=validation), labels[validation]),
        _Part(ImageInput(dataset.test_images, *test_moments), dataset.test_labels[config.labels]),
    )


def _result(config: RunConfig, fitted: FitResult, test: tuple[float, float]) -> RunResult:
    history = fitted.history
    best = fitted.best_epoch  # 0 where the first epoch diverged already
    return RunResult(
        experiment=config.experiment,
        normalize=config.normalize,
        seed=config.seed,
        status=fitted.status,
        dataset=config.dataset,
        precision=config.precision,
        config=config,
        test_loss=test[0],
        test_accuracy=test[1],
        val_accuracy=history.val_accuracy[best - 1] if best else math.nan,
        best_epoch=best,
        epochs=fitted.epochs,
        seconds=fitted.seconds,
        images_per_second=fitted.images_per_second,
        history={
            "train_loss": history.train_loss,
            "val_loss": history.val_loss,
            "train_accuracy": history.train_accuracy,
            "val_accuracy": history.val_accuracy,
        },
    )
