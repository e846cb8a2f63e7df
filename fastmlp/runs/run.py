"""One training run, from a config and a data set to its result."""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, DataError, OutputError
from fastmlp.models.file import save_model
from fastmlp.models.model import Model
from fastmlp.models.preparation import Preparation, training_rows
from fastmlp.nn.activations import hidden_activations
from fastmlp.nn.augment import AugmentedImages
from fastmlp.nn.augmentations import AUGMENTATIONS
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.inputs import Input
from fastmlp.nn.loss import CROSS_ENTROPY
from fastmlp.nn.network import MLP
from fastmlp.nn.precision import PRECISIONS
from fastmlp.runs import checkpoint
from fastmlp.runs.fits import check_config
from fastmlp.runs.identity import run_id
from fastmlp.runs.metrics import answers_of, measure
from fastmlp.runs.results import ENDED, RunResult, finite_score
from fastmlp_kernels._activation_passes import family_of
from fastmlp_kernels._compiling import when_compiling

# Seconds between two checkpoints: what a kill costs at most, and against which writing one is nothing.
CHECKPOINT_SECONDS = 30.0


def _warn(error: OutputError) -> None:
    warnings.warn(f"{error} Training goes on.", RuntimeWarning, stacklevel=2)


class _Part(NamedTuple):
    """Rows of a run and their targets, as its network takes and learns them; weights : (M,), None for ones."""

    inputs: Input
    targets: np.ndarray
    weights: np.ndarray | None = None


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

    dataset : images or rows of features, with targets of any kind; see `fastmlp.data.Dataset`. Of one with folds the
        run takes that of its config
    on_epoch, on_batch : callbacks, as of `fastmlp.nn.fit.fit`
    kept : file of the run's checkpoint, from which training resumes, and which is written at most every 30 s; None for
        no checkpoints. It stays at the end, for the caller to remove once the result is kept
    on_unsaved(error) : called where the checkpoint cannot be written; the one before it stays, and training goes on
    until : epoch at whose end training is saved and interrupted; stop() : asked after each epoch, True for the same
    test : whether to use the test rows once training is done; if not, the final state is saved too, for a later call
    start : (P,) of the network's dtype, the weights to begin with, whose hash `config.init_from` is
    model_file : where the network is saved once it was tested

    All random numbers come from one generator, in this order: the split, the weights, the shuffling. So runs of the
    same seed share their split, or all of them the data's own. The test rows are used once, with the weights of the
    best validation loss.

    Raises ConfigError, before anything is trained, where the config does not fit the data, and DataError for data that
    its network cannot take.
    """
    whole, dataset = dataset, dataset.of_fold(config.fold)
    check_config(config, dataset)
    rng = np.random.default_rng(config.seed)
    preparation, train, validation, test_part = _parts(config, dataset, rng)
    model = config.new_network(rng)
    model.examples(test_part.inputs, test_part.targets)  # what cannot be tested is told before it is trained
    if config.init_from:
        _begin_with(model, start, config.init_from)
    name = run_id(config, whole.fingerprint)
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
        train.targets,
        sample_weight=train.weights,
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
    result = _result(config, name, fitted, hashlib.sha256(model.parameters.data).hexdigest())
    if fitted.status in ENDED:
        if test:
            loss, score = model.evaluate(test_part.inputs, test_part.targets, sample_weight=test_part.weights)
            rmse = _rmse(model, test_part, preparation, dataset.test_labels[config.labels])
            made = _model(config, dataset, whole.fingerprint, model.parameters, preparation)
            metrics = (
                _metrics(made, dataset, config.labels) if dataset.reading or dataset.test_weights is not None else {}
            )
            if test_part.weights is not None:  # by which `evaluate` counts losses, and not what is right
                said = metrics.get("accuracy"), metrics.get("subset accuracy")
                score = next((one for one in said if one is not None), score)
            result = replace(result, test_loss=loss, test_accuracy=finite_score(score), test_rmse=rmse)
            if dataset.reading is not None:
                result = replace(result, test_metrics=metrics)
            if model_file is not None:
                save_model(model_file, made)
        else:
            save(fitted.state)
    return result


def _rmse(network: MLP, part: _Part, preparation: Preparation, targets: np.ndarray) -> list[float]:
    """Return the root mean square error of each number, in its own unit; [] for other targets, and beyond numbers."""
    if preparation.target_moments is None:
        return []
    try:
        told = network.outputs(part.inputs)
    except DataError:  # beyond the network's numbers, as the loss tells too
        return []
    deviations = preparation.target_moments[1]  # of which the squares are those that no number is too large for
    errors = told.astype(np.float64) - preparation.targets(targets)
    means = np.average(np.square(errors), axis=0, weights=part.weights)
    return np.minimum(np.sqrt(means) * deviations, np.finfo(np.float64).max).tolist()


def _metrics(model: Model, dataset: Dataset, target: str) -> dict[str, float | None]:
    """Return the metrics of a model over the test rows, None for one that is not defined there."""
    rows, kind = dataset.test_images, dataset.kinds[target]
    try:
        told = model.predict(rows) if kind == "numbers" else model.predict_proba(rows)
    except DataError:  # beyond the network's numbers, as the loss tells too
        return {}
    return measure(answers_of(kind, dataset.test_labels[target], told, dataset.test_weights)).values


def kinds(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Return one config for each set of kernels that these runs need."""

    def kind(config: RunConfig) -> tuple[Any, ...]:
        # a packed run compiles once for a family of activations and all depths, BLAS has a kernel for each activation
        hidden = hidden_activations(config.activation, len(config.layers) - 2)
        between = tuple(dict.fromkeys(hidden)) if config.matmul == "blas" else (type(family_of([*hidden, "identity"])),)
        drops = config.matmul == "blas" and config.dropout > 0, config.input_dropout > 0
        steps = type(config.new_optimizer().compiled()), config.matmul == "blas" and config.clip_norm > 0
        targets = config.loss == CROSS_ENTROPY.name  # others have the same form
        return config.precision, config.matmul, config.augment, between, drops, steps, config.of_images, targets

    return list({kind(config): config for config in configs}.values())


def compile_for(config: RunConfig, mark: Path | None = None) -> None:
    """Compile the kernels that a run of this config needs, by a small run on random rows.

    mark : a file that is made when a compilation begins, for a parent process to see
    """
    with when_compiling(lambda: None if mark is None else _make(mark)):
        _run_small(config)


def _make(mark: Path) -> None:
    with suppress(OSError):  # it is only shown
        mark.touch()


def _run_small(config: RunConfig) -> None:
    rng, shape = np.random.default_rng(0), (8, config.layers[0])
    dtype = PRECISIONS[config.precision].dtype
    rows = rng.integers(0, 256, shape, np.uint8) if config.of_images else rng.standard_normal(shape).astype(dtype)
    loss, outputs = config.new_loss(), 2
    kind = "classes" if loss.of_classes else "labels" if loss.of_probabilities else "numbers"
    target: np.ndarray = np.arange(8) % 2
    if kind != "classes":
        target = np.stack((target, 1 - target), axis=1).astype("uint8" if kind == "labels" else "float64")
    targets, names = {config.labels: target}, {config.labels: ("a", "b")}
    tiny = Dataset("tiny", rows, targets, rows, targets, names, source="random numbers", kinds={config.labels: kind})
    units = [min(h, 3) for h in config.layers[1:-1]]
    small = {"layers": (config.layers[0], *units, outputs), "batch_size": 4, "epochs": 1, "init_from": "", "fold": 0}
    run_one(replace(config, **small, validation_fraction=0.5), tiny)


def _parts(config: RunConfig, dataset: Dataset, rng: np.random.Generator) -> tuple[Preparation, _Part, _Part, _Part]:
    """Return what is learnt of the training rows, and the training, validation and test parts of a data set.

    Images are copied for augmentation alone, features where they are standardised or of another dtype than the network.
    """
    rows, own = dataset.train_images, {name: (x, targets) for name, x, targets in dataset.parts()}
    train, validation = training_rows(config, dataset, rng)
    dtype = np.dtype(PRECISIONS[config.precision].dtype)
    preparation = Preparation.learnt(config, dataset, train, dtype)
    targets = preparation.targets(dataset.train_labels[config.labels])

    def part(index: np.ndarray) -> _Part:
        weights = None if dataset.weights is None else dataset.weights[index]
        return _Part(preparation.inputs(rows, dtype, index), targets[index], weights)

    def of_own(images: np.ndarray, labels: Mapping[str, np.ndarray], weights: np.ndarray | None) -> _Part:
        return _Part(preparation.inputs(images, dtype), preparation.targets(labels[config.labels]), weights)

    trained = part(train)
    if config.augment != "none" and dataset.shape is not None:
        augmented = AugmentedImages(
            rows,
            train,
            lambda images: preparation.image_moments(images, dtype),
            AUGMENTATIONS[config.augment],
            dataset.shape[1:],
        )
        trained = trained._replace(inputs=augmented)
    held = of_own(*own["validation"], dataset.validation_weights) if "validation" in own else part(validation)
    return preparation, trained, held, of_own(*own["test"], dataset.test_weights)


def _begin_with(model: MLP, start: np.ndarray | None, sha256: str) -> None:
    if start is None or hashlib.sha256(np.ascontiguousarray(start).data).hexdigest() != sha256:
        raise ConfigError(
            f"The run began with weights of SHA-256 {sha256}, and those given are others, or none; give the model that "
            "has them by --init-from."
        )
    if start.shape != model.parameters.shape:
        raise ConfigError(f"the weights to begin with are {start.size}, the network has {model.parameter_count}")
    model.parameters[...] = start


def _model(
    config: RunConfig, dataset: Dataset, fingerprint: str, parameters: np.ndarray, preparation: Preparation
) -> Model:
    """Return a run's network as a model, with what it needs to take raw rows and to tell numbers in their own units."""
    return Model(
        config.layers,
        config.activation,
        config.precision,
        parameters,
        config.normalize,
        preparation.moments,
        dataset.label_names[config.labels],
        config,
        fingerprint,
        config.new_loss(),
        dataset.shape,
        dataset.features,
        preparation.target_moments,
        dataset.reading,
    )


def _result(config: RunConfig, name: str, fitted: FitResult, weights_sha256: str) -> RunResult:
    """Return the result of a run that was not tested."""
    return RunResult(
        run_id=name,
        experiment=config.experiment,
        normalize=config.normalize,
        seed=config.seed,
        status="interrupted" if fitted.status == "paused" else fitted.status,
        dataset=config.dataset,
        precision=config.precision,
        config=config,
        test_loss=math.nan,
        test_accuracy=math.nan,
        val_accuracy=fitted.val_accuracy,
        best_epoch=fitted.best_epoch,
        epochs=fitted.epochs,
        seconds=fitted.seconds,
        images_per_second=fitted.images_per_second,
        history=asdict(fitted.history),
        weights_sha256=weights_sha256,
    )
