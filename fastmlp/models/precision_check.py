"""The error of a precision in the gradients: those of one batch against the same network's in float64."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError
from fastmlp.models.model import Model
from fastmlp.models.preparation import Preparation, training_rows
from fastmlp.nn.network import MLP
from fastmlp.table import Table

# The error up to which gradients hold, for `--precision auto`: it turns a step by less than six degrees. On CIFAR-100
# the report's networks are off by up to 0.03 in bfloat16 and 0.07 in int8, and reach float32's accuracy over 5 seeds.
HOLDS = 0.1


def _network(config: RunConfig, start: Model | None) -> MLP:
    model = config.new_network(config.seed)
    if start is not None:
        model.parameters[...] = start.parameters
    return model


def _gradients(model: MLP, config: RunConfig, dataset: Dataset, train: np.ndarray, rows: np.ndarray) -> None:
    preparation = Preparation.learnt(config, dataset, train, model.dtype)
    targets = preparation.targets(dataset.train_labels[config.labels][rows])
    model.loss_and_gradients(preparation.inputs(dataset.train_images[rows], model.dtype), targets)


def _relative(got: np.ndarray, wanted: np.ndarray) -> float:
    size = np.linalg.norm(wanted)
    return float(np.linalg.norm(got - wanted) / size) if size else float(np.linalg.norm(got))


def gradient_errors(config: RunConfig, dataset: Dataset, start: Model | None = None) -> list[tuple[float, float]]:
    """Return the relative errors of each layer's gradients, (weights, biases), against those in float64.

    Errors are Euclidean norms of differences, divided by the norms in float64, over the first batch of the run's
    training images, at the initial weights of the run's seed or at those of `start`. Where rounding moves a hidden
    value across a ReLU's kink, that unit's whole gradient changes; this counts, as training uses that gradient.
    """
    if config.precision == "float64":
        raise ConfigError("precision is float64, which the others are compared with; give --precision another one")
    dataset = dataset.of_fold(config.fold)
    train, _ = training_rows(config, dataset, np.random.default_rng(config.seed))
    model, exact = _network(config, start), _network(replace(config, precision="float64", matmul="blas"), start)
    exact.parameters[...] = model.parameters
    for network in (model, exact):
        _gradients(network, config, dataset, train, train[: config.batch_size])
    layers = zip(model.layers, exact.layers, strict=True)
    return [(_relative(a.dweight, b.dweight), _relative(a.dbias, b.dbias)) for a, b in layers]


def precision_table(configs: Sequence[RunConfig], dataset: Dataset, start: Model | None = None) -> Table:
    """Return a table of `gradient_errors`, a row for each layer of each run of the lowest seed and fold."""
    seed, fold = (min(getattr(config, name) for config in configs) for name in ("seed", "fold"))
    rows = []
    for config in configs:
        if (config.seed, config.fold) == (seed, fold):
            for i, errors in enumerate(gradient_errors(config, dataset, start), 1):
                size = "-".join(map(str, config.layers[i - 1 : i + 1]))
                figures = [f"{error:.1e}" for error in errors]
                rows.append([config.experiment, config.normalize, config.precision, f"{i}: {size}", *figures])
    fact = (
        f"Gradients of the first {configs[0].batch_size} training images at the "
        f"{'given' if start else 'initial'} weights, seed {seed}; "
        f"Euclidean norm of the difference from float64, as a share of float64's; up to {HOLDS:g} they hold."
    )
    columns = ["experiment", "normalisation", "precision", "layer", "weights", "biases"]
    return Table([fact], columns, rows, words=4)
