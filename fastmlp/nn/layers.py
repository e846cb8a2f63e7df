"""The fully connected layer: two matrix products and one fused kernel each way."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fastmlp.errors import DataError
from fastmlp.nn.activations import activation_named
from fastmlp.nn.initializers import initial_weight, resolve
from fastmlp_kernels import _check


def parameter_count(sizes: Sequence[int]) -> int:
    """Return P, the number of weights and biases of a network of these sizes, from input to output."""
    return sum(d * h + h for d, h in pairwise(sizes))


def split_parameters(parameters: np.ndarray, sizes: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight (D, H) and bias (H,) of each layer: views of parameters (P,), any dtype, W1, b1, W2, b2, ..."""
    layers, at = [], 0
    for d, h in pairwise(sizes):
        bias = at + d * h
        layers.append((parameters[at:bias].reshape(d, h), parameters[bias : bias + h]))
        at = bias + h
    return layers


def _copy_into(array: np.ndarray, name: str, values: npt.ArrayLike) -> None:
    _check.unmasked(**{name: values})
    values = np.asarray(values)
    if values.shape != array.shape:
        raise DataError(f"{name} is given with shape {values.shape}, this layer's has {array.shape}")
    if values.dtype.kind not in "fiub":
        raise DataError(f"{name} is given as {values.dtype}, expected real numbers")
    with np.errstate(over="ignore"):
        own = values.astype(array.dtype)
    if not np.isfinite(own).all():
        raise DataError(f"{name} is given with NaN, infinity, or a number that {array.dtype} cannot hold")
    array[...] = own


class Dense:
    """A fully connected layer act(x W + b): its parameters and their gradients. The caller passes all other arrays.

    weight : (D, H), bias : (H,), dweight and dbias of the same shapes; C-contiguous, float32 or float64

    Values that are assigned to weight or bias are copied into them; DataError for those of another shape, and for
    numbers that are not finite in the layer's dtype. Methods take arrays of that dtype.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        activation: str,
        *,
        rng: np.random.Generator,
        init: str = "auto",
        dtype: np.dtype | type = np.float32,
    ) -> None:
        self._act = activation_named(activation)
        self.activation = self._act.name
        weight = initial_weight(resolve(init, activation), inputs, units, np.dtype(dtype), rng)
        self._weight, self._bias = weight, np.zeros(units, dtype)
        self.dweight, self.dbias = np.zeros_like(weight), np.zeros(units, dtype)

    @property
    def weight(self) -> np.ndarray:
        """The weights W (D, H)."""
        return self._weight

    @weight.setter
    def weight(self, values: npt.ArrayLike) -> None:
        _copy_into(self._weight, "weight", values)

    @property
    def bias(self) -> np.ndarray:
        """The bias b (H,)."""
        return self._bias

    @bias.setter
    def bias(self, values: npt.ArrayLike) -> None:
        _copy_into(self._bias, "bias", values)

    def live_in(self, weight: np.ndarray, bias: np.ndarray, dweight: np.ndarray, dbias: np.ndarray) -> None:
        """Take these arrays, of the same shapes and dtype, for the layer's own, with the values that are in them."""
        self._weight, self._bias, self.dweight, self.dbias = weight, bias, dweight, dbias

    def product(self, x: np.ndarray, z: np.ndarray) -> None:
        """z (N, H) <- x W for x (N, D), without the bias."""
        np.matmul(x, self.weight, out=z)

    def forward(self, x: np.ndarray, h: np.ndarray, kept: np.ndarray | None = None) -> None:
        """h (N, H) <- act(x W + b) for x (N, D).

        kept : (N, H) for x W + b, where the activation keeps its input for the way back
        """
        self.product(x, h)
        self._act.forward(h, self.bias, kept)

    def activation_backward(self, delta: np.ndarray, kept: np.ndarray) -> None:
        """delta (N, H) <- delta * act'(x W + b), in place: the gradient by h becomes that by x W + b; fills dbias.

        kept : (N, H) x W + b where the activation keeps its input, else h
        """
        self._act.backward(delta, kept, self.dbias)

    @property
    def keeps_input(self) -> bool:
        """Whether its activation keeps its input for the way back, in an array of its own."""
        return self._act.keeps_input

    def weight_gradient(self, x: np.ndarray, delta: np.ndarray) -> None:
        """dweight (D, H) <- x^T delta for x (N, D) and delta (N, H)."""
        np.matmul(x.T, delta, out=self.dweight)

    def input_gradient(self, delta: np.ndarray, dx: np.ndarray) -> None:
        """dx (N, D) <- delta W^T for delta (N, H)."""
        np.matmul(delta, self.weight.T, out=dx)
