"""A trained network with all that predictions need: the normalisation of its inputs and the names of its classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.config import RunConfig
from fastmlp.data import NORMALIZATIONS
from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.activations import hidden_activations, shortest
from fastmlp.nn.checks import check_name, is_whole
from fastmlp.nn.inputs import ArrayInput, ImageInput, Input
from fastmlp.nn.layers import parameter_count, split_parameters
from fastmlp.nn.loss import CROSS_ENTROPY, Loss, loss_named
from fastmlp.nn.network import MLP
from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels import _check

AS_THEY_ARE = "none"  # the normalisation of inputs that are no images
NORMALIZES = (AS_THEY_ARE, *NORMALIZATIONS)
CHANNELS = {"channel": 3, "dataset": 3}  # planes of which each has moments of its own; otherwise the whole image is one


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: its parameters, the normalisation of its inputs, the names of its outputs, and its origin.

    layers, activation, precision : as of `fastmlp.MLP`; activation is one name, or a tuple, one a hidden layer
    parameters : (P,) float32, or float64 for that precision: W1, b1, W2, b2, ..., each weight (D, H) row by row
    normalize : key of `fastmlp.data.NORMALIZATIONS`: the inputs are uint8 images; "none": real numbers, as they are
    moments : (2, 3) of the parameters' dtype: mean and 1/std of the training images by channel, for the normalisation
        "dataset"; None for all others
    class_names : of the outputs, in their order; empty where they have none
    config, fingerprint : of the run that trained it, and of its data; None and "" where it was no run
    loss : as of `fastmlp.MLP`: what the outputs are, and what further training lowers

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

    def __post_init__(self) -> None:
        if not (isinstance(self.layers, tuple) and len(self.layers) > 1 and all(is_whole(n, 1) for n in self.layers)):
            raise ConfigError(f"layers are {self.layers!r}, expected a tuple of two or more sizes from 1 on")
        object.__setattr__(self, "activation", shortest(self.activation, len(self.layers) - 2))
        object.__setattr__(self, "loss", loss_named(self.loss))
        check_name("precision", self.precision, PRECISIONS)
        check_name("normalize", self.normalize, NORMALIZES)
        wanted, dtype = parameter_count(self.layers), self.parameters.dtype
        if self.parameters.shape != (wanted,) or dtype not in (np.float32, np.float64):
            raise ConfigError(
                f"parameters are {dtype} of shape {self.parameters.shape}, expected float32 or float64 of shape "
                f"({wanted},), those of layers {self.layers}"
            )

    @classmethod
    def of(cls, network: MLP, class_names: Sequence[str] = (), *, normalize: str = AS_THEY_ARE) -> Self:
        """Return a model with a copy of a network's present weights.

        normalize : "none", "image" or "channel", by which its training images were normalised; models of "dataset" are
            made by `fastmlp.train` alone

        Raises ConfigError where the names are not one an output.
        """
        names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
        if len(names) not in (0, network.sizes[-1]) or not all(isinstance(name, str) for name in names):
            raise ConfigError(
                f"class_names are {len(names)}, expected {network.sizes[-1]} strings, one an output, or none"
            )
        if normalize not in NORMALIZES or normalize == "dataset":
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

    def names(self) -> tuple[str, ...]:
        """Return the classes' names, or their numbers where they have none."""
        return self.class_names or tuple(map(str, range(self.layers[-1])))

    def activations(self) -> list[str]:
        """Return the name of each hidden layer's activation."""
        return hidden_activations(self.activation, len(self.layers) - 2)

    def arrays(self) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
        """Return weight (D, H) and bias (H,) of each layer, views of the parameters."""
        return split_parameters(self.parameters, self.layers)

    def network(self, *, precision: str | None = None, threads: int | None = None) -> MLP:
        """Return a network with a copy of these weights, for training or prediction.

        precision : None for the model's; threads : None for all usable cores
        """
        precision = precision or self.precision
        matmul = self.config.matmul if self.config is not None and precision == self.precision else None
        network = MLP(self.layers, self.activation, loss=self.loss, precision=precision, matmul=matmul, threads=threads)
        network.parameters[...] = self.parameters
        return network

    def inputs(self, x: np.ndarray, dtype: np.dtype) -> Input:
        """Return rows x (M, D) with their normalisation, in the form that a network of this dtype takes.

        x : uint8 for a model of images, the red, then the green, then the blue plane of each; else numbers of any dtype

        Raises DataError for rows of another width or dtype.
        """
        _check.unmasked(x=x)
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.layers[0]:
            raise DataError(f"inputs have shape {x.shape}, this model takes (M, {self.layers[0]})")
        if self.normalize == AS_THEY_ARE:
            return ArrayInput(x)
        if x.dtype != np.uint8:
            raise DataError(f"inputs are {x.dtype}, this model takes images: uint8, 0 to 255")
        if self.moments is not None:
            mean, inv_std = (np.tile(row.astype(dtype), (len(x), 1)) for row in self.moments)
        else:
            mean, inv_std = NORMALIZATIONS[self.normalize](x, np.arange(len(x)), x, dtype)
        return ImageInput(x, mean, inv_std)

    def predict_proba(
        self, x: np.ndarray, *, precision: str | None = None, threads: int | None = None
    ) -> NDArray[np.floating]:
        """Return the probability of each class or label, (M, K) float32 or float64, for rows x (M, D) as of `inputs`.

        Each call makes a network anew: for many calls, call `network` once and `predict_proba` of its result. Raises
        ConfigError for a model of numbers, which has `predict`.
        """
        network = self.network(precision=precision, threads=threads)
        return network.predict_proba(self.inputs(x, network.dtype))

    def outputs(self, x: np.ndarray) -> NDArray[np.floating]:
        """Return what the loss makes of the last layer's sums, (M, K): probabilities, numbers, or expected counts."""
        network = self.network()
        return network.outputs(self.inputs(x, network.dtype))

    def predict(
        self, x: np.ndarray, *, precision: str | None = None, threads: int | None = None
    ) -> NDArray[np.generic]:
        """Return the answers for rows x (M, D): most probable class (M,) int64, labels, or numbers; see `MLP.predict`."""
        network = self.network(precision=precision, threads=threads)
        return network.predict(self.inputs(x, network.dtype))

    def predict_log_proba(
        self, x: np.ndarray, *, precision: str | None = None, threads: int | None = None
    ) -> NDArray[np.floating]:
        """Return the logarithms of `predict_proba`, precise also where a probability rounds to 0 or 1."""
        network = self.network(precision=precision, threads=threads)
        return network.predict_log_proba(self.inputs(x, network.dtype))
