"""One training run, from a config and a data set to its result."""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS, Dataset, split_indices
from fastmlp.errors import ConfigError, OutputError
from fastmlp.models.file import save_model
from fastmlp.models.model import Model
from fastmlp.nn.activations import hidden_activations
from fastmlp.nn.augment import AugmentedImages
from fastmlp.nn.augmentations import AUGMENTATIONS
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.inputs import ImageInput
from fastmlp.nn.network import MLP
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs import checkpoint
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import ENDED, RunResult
from fastmlp_kernels._activation_passes import family_of
from fastmlp_kernels._compiling import when_compiling

# Seconds between two checkpoints: what a kill costs at most, and against which writing one is nothing.
CHECKPOINT_SECONDS = 30.0


def _warn(error: OutputError) -> None:
    warnings.warn(f"{error} Training goes on.", RuntimeWarning, stacklevel=2)


class _Part(NamedTuple):
    inputs: ImageInput | AugmentedImages
    labels: np.ndarray


def run_one(
    config: RunConfig,
    dataset: Dataset,
    *,
    on_epoch: Callable[[int, History], bool | None] | None = None,
    on_batch: Callable[[int], bool | None] | None = None,
    kept: Path | None = None,
    on_unsaved: Callable[[OutputError], None] = _warn,
    until: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    test: bool = True,
    start: np.ndarray | None = None,
    model_file: Path | None = None,
) -> RunResult:
    """Train and test one network; return its result.

    on_epoch, on_batch : callbacks, as of `fastmlp.nn.fit.fit`
    kept : file of the run's checkpoint, from which training resumes, and which is written at most every 30 s; None for
        no checkpoints. It stays at the end, for the caller to remove once the result is kept
    on_unsaved(error) : called where the checkpoint cannot be written; the one before it stays, and training goes on
    until : epoch at whose end training is saved and interrupted; stop() : asked after each epoch, True for the same
    test : whether to use the test images once training is done; if not, the final state is saved too, for a later call
    start : (P,) of the network's dtype, the weights to begin with, whose hash `config.init_from` is
    model_file : where the network is saved once it was tested

    All random numbers come from one generator, in this order: the split, the weights, the shuffling. So runs of the
    same seed share their split. The test images are used once, with the weights of the best validation loss.
    """
    rng = np.random.default_rng(config.seed)
    train, validation, test_part = _parts(config, dataset, rng)
    model = config.new_network(rng)
    if config.init_from:
        _begin_with(model, start, config.init_from)
    name = run_id(config, dataset.fingerprint)
    saved = time.perf_counter()

    def pause(state: State) -> bool:
        nonlocal saved
        pauses = stop() or (until is not None and len(state.history.train_loss) >= until)
        if pauses or time.perf_counter() - saved > CHECKPOINT_SECONDS:
            save(state)
            saved = time.perf_counter()
        return pauses

    def save(state: State) -> None:
        if kept is not None:
            try:
                checkpoint.save(kept, name, state)
            except OutputError as error:  # the run can still come to its end
                on_unsaved(error)

    fitted = fit(
        model,
        train.inputs,
        train.labels,
        validation=validation,
        optimizer=config.new_optimizer(),
        epochs=config.epochs,
        batch_size=config.batch_size,
        patience=config.patience,
        stopping=config.stopping,
        schedule=config.new_schedule(),
        rng=rng,
        keep_start=bool(config.init_from),
        on_epoch=on_epoch,
        on_batch=on_batch,
        pause=pause,
        resume=checkpoint.load(kept, name, model.parameters) if kept is not None else None,
    )
    tested, weights = (math.nan, math.nan), hashlib.sha256(model.parameters.data).hexdigest()
    if fitted.status in ENDED:
        if test:
            tested = model.evaluate(*test_part)
            if model_file is not None:
                save_model(model_file, _model(config, dataset, model.parameters))
        else:
            save(fitted.state)
    return _result(config, name, fitted, weights, tested)


def kinds(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Return one config for each set of kernels that these runs need."""

    def kind(config: RunConfig) -> tuple[Any, ...]:
        # a packed run compiles once for a family of activations and all depths, BLAS has a kernel for each activation
        hidden = hidden_activations(config.activation, len(config.layers) - 2)
        between = tuple(dict.fromkeys(hidden)) if config.matmul == "blas" else (type(family_of([*hidden, "identity"])),)
        drops = config.dropout > 0, config.input_dropout > 0
        steps = type(config.new_optimizer().compiled()), config.matmul == "blas" and config.clip_norm > 0
        return config.precision, config.matmul, config.augment, between, drops, steps

    return list({kind(config): config for config in configs}.values())


def compile_for(config: RunConfig, mark: Path | None = None) -> None:
    """Compile the kernels that a run of this config needs, by a small run on random images.

    mark : a file that is made when a compilation begins, for a parent process to see
    """
    with when_compiling(lambda: None if mark is None else _make(mark)):
        _run_small(config)


def _make(mark: Path) -> None:
    with suppress(OSError):  # it is only shown
        mark.touch()


def _run_small(config: RunConfig) -> None:
    rng, classes = np.random.default_rng(0), 2
    images, labels = rng.integers(0, 256, (8, config.layers[0]), np.uint8), {config.labels: np.arange(8) % classes}
    names = {config.labels: ("a", "b")}
    tiny = Dataset("tiny", images, labels, images, labels, names, source="random numbers")
    units = [min(h, 3) for h in config.layers[1:-1]]
    small = {"layers": (config.layers[0], *units, classes), "batch_size": 4, "epochs": 1, "init_from": ""}
    run_one(replace(config, **small, validation_fraction=0.5), tiny)


def _parts(config: RunConfig, dataset: Dataset, rng: np.random.Generator) -> tuple[_Part, _Part, _Part]:
    """Return the training, validation and test parts of a data set; images are copied for augmentation alone."""
    labels = dataset.train_labels[config.labels]
    train, validation = split_indices(len(labels), config.validation_fraction, rng)
    dtype = np.dtype(PRECISIONS[config.precision].dtype)

    def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return NORMALIZATIONS[config.normalize](dataset.train_images, train, images, dtype)

    own = moments(dataset.train_images)
    inputs = ImageInput(dataset.train_images, *own, rows=train)
    if config.augment != "none":
        inputs = AugmentedImages(dataset.train_images, train, moments, AUGMENTATIONS[config.augment])
    return (
        _Part(inputs, labels[train]),
        _Part(ImageInput(dataset.train_images, *own, rows=validation), labels[validation]),
        _Part(ImageInput(dataset.test_images, *moments(dataset.test_images)), dataset.test_labels[config.labels]),
    )


def _begin_with(model: MLP, start: np.ndarray | None, sha256: str) -> None:
    if start is None or hashlib.sha256(np.ascontiguousarray(start).data).hexdigest() != sha256:
        raise ConfigError(
            f"The run began with weights of SHA-256 {sha256}, and those given are others, or none; give the model that "
            "has them by --init-from."
        )
    if start.shape != model.parameters.shape:
        raise ConfigError(f"the weights to begin with are {start.size}, the network has {model.parameter_count}")
    model.parameters[...] = start


def _model(config: RunConfig, dataset: Dataset, parameters: np.ndarray) -> Model:
    """Return a run's network as a model, with the moments of its training images where the normalisation has such."""
    moments = None
    if config.normalize == "dataset":
        rows, _ = split_indices(
            len(dataset.train_images), config.validation_fraction, np.random.default_rng(config.seed)
        )
        one = dataset.train_images[:1]
        moments = np.vstack(NORMALIZATIONS["dataset"](dataset.train_images, rows, one, parameters.dtype))
    return Model(
        config.layers,
        config.activation,
        config.precision,
        parameters,
        config.normalize,
        moments,
        dataset.label_names[config.labels],
        config,
        dataset.fingerprint,
        config.new_loss(),
    )


def _result(
    config: RunConfig, name: str, fitted: FitResult, weights_sha256: str, test: tuple[float, float]
) -> RunResult:
    return RunResult(
        run_id=name,
        experiment=config.experiment,
        normalize=config.normalize,
        seed=config.seed,
        status="interrupted" if fitted.status == "paused" else fitted.status,
        dataset=config.dataset,
        precision=config.precision,
        config=config,
        test_loss=test[0],
        test_accuracy=test[1],
        val_accuracy=fitted.val_accuracy,
        best_epoch=fitted.best_epoch,
        epochs=fitted.epochs,
        seconds=fitted.seconds,
        images_per_second=fitted.images_per_second,
        history=asdict(fitted.history),
        weights_sha256=weights_sha256,
    )
