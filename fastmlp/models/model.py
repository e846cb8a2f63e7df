"""A trained network with all that predictions need: the normalisation of its inputs and the names of its classes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS
from fastmlp.data.dataset import CIFAR_SHAPE, channels_of
from fastmlp.data.library import listed
from fastmlp.data.normalize import AS_THEY_ARE, STANDARD
from fastmlp.data.reading import Reading
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.preparation import Preparation
from fastmlp.nn.activations import hidden_activations, shortest
from fastmlp.nn.checks import check_name, is_whole
from fastmlp.nn.inputs import Input
from fastmlp.nn.layers import parameter_count, split_parameters
from fastmlp.nn.loss import CROSS_ENTROPY, Loss, loss_named
from fastmlp.nn.network import MLP
from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels import _check

NORMALIZES = (AS_THEY_ARE, STANDARD, *NORMALIZATIONS)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: its parameters, the normalisation of its inputs, the names of its outputs, and its origin.

    layers, activation, precision : as of `fastmlp.MLP`; activation is one name, or a tuple, one a hidden layer
    parameters : (P,) float32, or float64 for that precision: W1, b1, W2, b2, ..., each weight (D, H) row by row
    normalize : key of `fastmlp.data.NORMALIZATIONS`: the inputs are uint8 images; real numbers: "none", as they are, or
        "standard", each feature less its mean over its deviation
    moments : (2, C) of the parameters' dtype: mean and 1/std of the training images by channel, for the normalisation
        "dataset"; (2, D) float64: means and deviations of the features, for "standard"; None for all others
    class_names : of the outputs, in their order; empty where they have none. Two where the only output is the
        probability of the second class
    config, fingerprint : of the run that trained it, and of its data; None and "" where it was no run
    loss : as of `fastmlp.MLP`: what the outputs are, and what further training lowers
    shape, features : what a row is, as of `fastmlp.data.Dataset`; None and () where that is not known
    target_moments : (2, K) float64, means and deviations of the numbers that it tells, by which its network learnt
        them; None: as they are
    reading : how files and tables such as it was trained on become its rows; None where it takes rows alone

    Raises ConfigError for layers, names or parameters that do not fit.
    """

    layers: tuple[int, ...]
    activation: str | tuple[str, ...]
    precision: str
    parameters: NDArray[np.floating]
    normalize: str = AS_THEY_ARE
    moments: NDArray[np.floating] | None = None
    class_names: tuple[str, ...] = ()
    config: RunConfig | None = None
    fingerprint: str = ""
    loss: Loss = CROSS_ENTROPY
    shape: tuple[int, int, int] | None = None
    features: tuple[str, ...] = ()
    target_moments: NDArray[np.float64] | None = None
    reading: Reading | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.layers, tuple) and len(self.layers) > 1 and all(is_whole(n, 1) for n in self.layers)):
            raise ConfigError(f"layers are {self.layers!r}, expected a tuple of two or more sizes from 1 on")
        object.__setattr__(self, "activation", shortest(self.activation, len(self.layers) - 2))
        object.__setattr__(self, "loss", loss_named(self.loss))
        check_name("precision", self.precision, PRECISIONS)
        check_name("normalize", self.normalize, NORMALIZES)
        if self.shape is None and self.of_images and self.layers[0] == prod(CIFAR_SHAPE):
            object.__setattr__(self, "shape", CIFAR_SHAPE)
        if self.shape is not None and prod(self.shape) != self.layers[0]:
            raise ConfigError(f"shape is {self.shape}, expected channels, height and width of {self.layers[0]} values")
        if len(self.features) not in (0, self.layers[0]):
            raise ConfigError(f"features are {len(self.features)} names, expected {self.layers[0]}, or none")
        wanted, dtype = parameter_count(self.layers), self.parameters.dtype
        if self.parameters.shape != (wanted,) or dtype not in (np.float32, np.float64):
            raise ConfigError(
                f"parameters are {dtype} of shape {self.parameters.shape}, expected float32 or float64 of shape "
                f"({wanted},), those of layers {self.layers}"
            )

    @classmethod
    def of(cls, network: MLP, class_names: Sequence[str] = (), *, normalize: str = AS_THEY_ARE) -> Self:
        """Return a model with a copy of a network's present weights.

        normalize : "none", "image" or "channel", by which its training images were normalised; models of "dataset" and
            "standard" are made by runs alone

        Raises ConfigError where the names are not one an output.
        """
        names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
        if not may_be_named(network.loss, network.sizes[-1], len(names)) or not all(isinstance(n, str) for n in names):
            raise ConfigError(
                f"class_names are {len(names)}, expected {network.sizes[-1]} strings, one an output, or none"
            )
        if normalize not in NORMALIZES or normalize in ("dataset", STANDARD):
            raise ConfigError(f"normalize is {normalize!r}, allowed: none, image, channel")
        sizes, activations = tuple(map(int, network.sizes)), [layer.activation for layer in network.layers]
        activation = tuple(activations[:-1]) or activations[0]
        origin = names, None, ""
        return cls(
            sizes, activation, network.precision, network.parameters.copy(), normalize, None, *origin, network.loss
        )

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the parameters' bytes, as in a run's result."""
        return hashlib.sha256(np.ascontiguousarray(self.parameters).data).hexdigest()

    @property
    def kind(self) -> str:
        """What it tells: "classes", "labels" (several, each of which holds or does not) or "numbers"."""
        if self.loss.of_classes or len(self.class_names) > self.layers[-1]:
            return "classes"
        return "labels" if self.loss.of_probabilities else "numbers"

    @property
    def of_images(self) -> bool:
        """Whether it takes images, bytes; else real numbers."""
        return self.normalize in NORMALIZATIONS

    @property
    def channels(self) -> int:
        """Planes of an image."""
        return channels_of(self.shape, self.layers[0])

    @property
    def preparation(self) -> Preparation:
        """How rows become its network's inputs, and what that says becomes numbers in their own units."""
        return Preparation(self.normalize, self.channels, self.moments, self.target_moments)

    def names(self) -> tuple[str, ...]:
        """Return the names of classes, labels or numbers, or their numbers where they have none."""
        return self.class_names or tuple(map(str, range(self.layers[-1])))

    def activations(self) -> list[str]:
        """Return the name of each hidden layer's activation."""
        return hidden_activations(self.activation, len(self.layers) - 2)

    def arrays(self) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
        """Return weight (D, H) and bias (H,) of each layer, views of the parameters."""
        return split_parameters(self.parameters, self.layers)

    def network(self, *, precision: str | None = None, threads: int | None = None) -> MLP:
        """Return a network with a copy of these weights, for training or prediction, on what `inputs` returns.

        Of a model with `target_moments` it tells numbers in the units of these: see `outputs` for their own.

        precision : None for the model's; threads : None for all usable cores
        """
        precision = precision or self.precision
        trained = self.config if precision == self.precision else None
        matmul = None if trained is None else trained.matmul
        network = MLP(self.layers, self.activation, loss=self.loss, precision=precision, matmul=matmul, threads=threads)
        network.parameters[...] = self.parameters
        if trained is not None:
            network.expect(trained.new_optimizer())
        return network

    def rows(self, data: Any) -> np.ndarray:
        """Return data as rows (M, D): uint8, or real numbers of any dtype.

        data : what its `reading` reads - a path or several, of tables, pictures or arrays; a DataFrame of polars or
            pandas; columns by name; arrays as it was trained on. Of a model of a table, an array or lists of numbers
            are rows already, prepared as in training

        Raises DataError for what cannot be read, or for files where it has no reading.
        """
        if self.reading is not None:
            return data if self.reading.form == "table" and not _is_raw(data) else self.reading.rows(data).rows
        if _is_raw(data) and not hasattr(data, "columns"):
            raise DataError(
                f"inputs are {str(data)[:80]!r}, and this model was not trained from files: give rows, (M, "
                f"{self.layers[0]})"
            )
        return data

    def inputs(self, x: Any, dtype: np.dtype) -> Input:
        """Return rows x (M, D) with their normalisation, in the form that a network of this dtype takes.

        x : uint8 for a model of images, the red, then the green, then the blue plane of each; else numbers of any
            dtype; or files and tables, as `rows` takes them

        Raises DataError for rows of another width or dtype.
        """
        _check.unmasked(x=x)
        x = np.asarray(self.rows(x))
        if x.ndim != 2 or x.shape[1] != self.layers[0]:
            raise DataError(f"inputs have shape {x.shape}, this model takes (M, {self.layers[0]}){self._raw_words()}")
        return self.preparation.inputs(x, dtype)

    def _raw_words(self) -> str:
        """Return what a model of a table takes beside prepared rows, after what is said of these; empty for others."""
        if self.reading is None or self.reading.columns is None:
            return ""
        return (
            " of prepared rows, as its `rows` makes them. Give what it was trained on: a DataFrame, columns by name, "
            f"or the path of a table, with the columns {listed(list(self.reading.columns.reading))}."
        )

    def predict_proba(
        self, x: Any, *, precision: str | None = None, threads: int | None = None
    ) -> NDArray[np.floating]:
        """Return the probability of each class or label, (M, K) float32 or float64, for rows x (M, D) as of `inputs`.

        Of two classes that one output tells, of both: (M, 2). Each call makes a network anew: for many calls, call
        `network` once and `predict_proba` of its result. Raises ConfigError for a model of numbers, which has
        `predict`.
        """
        network = self.network(precision=precision, threads=threads)
        p = network.predict_proba(self.inputs(x, network.dtype))
        return np.hstack((1 - p, p)) if len(self.class_names) > self.layers[-1] else p

    def outputs(self, x: Any) -> NDArray[np.floating]:
        """Return what the loss makes of the last layer's sums, (M, K) of the network's dtype, for rows x (M, D).

        x : as `inputs` takes it. Probabilities, or numbers, as the loss has it: such as expected counts for "poisson".
        In float64 where the network learnt numbers in other units than their own
        """
        network = self.network()
        return self.preparation.restored(network.outputs(self.inputs(x, network.dtype)))

    def predict(self, x: Any, *, precision: str | None = None, threads: int | None = None) -> np.ndarray:
        """Return the answers for rows x (M, D), or files and tables, as of `inputs`; else as `MLP.predict` has it.

        The most probable class: its name, (M,) str, where the model has a `reading`, whatever x is; its number,
        (M,) int64, where it has none. A file's blank lines have no answer.
        """
        network = self.network(precision=precision, threads=threads)
        answers = network.predict(self.inputs(x, network.dtype))
        if self.reading is not None and self.kind == "classes":
            return np.array(self.names())[answers]
        if self.target_moments is None:
            return answers
        return self.preparation.restored(answers.reshape(len(answers), -1)).reshape(answers.shape)

    def predict_log_proba(
        self, x: Any, *, precision: str | None = None, threads: int | None = None
    ) -> NDArray[np.floating]:
        """Return the logarithms of `predict_proba`, precise also where a probability rounds to 0 or 1."""
        network = self.network(precision=precision, threads=threads)
        inputs = self.inputs(x, network.dtype)
        logarithms = network.predict_log_proba(inputs)
        if len(self.class_names) <= self.layers[-1]:
            return logarithms
        for array in (network.layers[-1].weight, network.layers[-1].bias):
            array *= -1  # the first class has the logit of the second, negated
        return np.hstack((network.predict_log_proba(inputs), logarithms))


def _is_raw(data: Any) -> bool:
    """Whether data are files or a table, which must be read first."""
    if isinstance(data, str | Path | Mapping) or hasattr(type(data), "columns"):
        return True
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(one, str | Path) for one in data)


def may_be_named(loss: Loss, outputs: int, names: int) -> bool:
    """Whether a network of so many outputs can have so many names: none, one each, or two classes of one output."""
    return names in (0, outputs) or (loss.name == "logistic" and (outputs, names) == (1, 2))
