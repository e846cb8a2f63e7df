"""The fully connected layer: two matrix products and one fused kernel each way."""

import numpy as np

from fastmlp.activations import activation_named
from fastmlp.initializers import initial_weight, resolve


class Dense:
    """act(x W + b): parameters and their gradients. It owns no activations: the caller passes the buffers.

    weight : (D, H), bias : (H,), dweight and dbias of the same shapes; C-contiguous, float32 or float64
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
        self.activation = activation
        self._act = activation_named(activation)
        self.weight = initial_weight(resolve(init, activation), inputs, units, np.dtype(dtype), rng)
        self.bias = np.zeros(units, dtype)
        self.dweight, self.dbias = np.zeros_like(self.weight), np.zeros_like(self.bias)

    def product(self, x: np.ndarray, z: np.ndarray) -> None:
        """Z (N, H) <- x W, without the bias."""
        np.matmul(x, self.weight, out=z)

    def forward(self, x: np.ndarray, h: np.ndarray) -> None:
        """H (N, H) <- act(x W + b) for x (N, D)."""
        self.product(x, h)
        self._act.forward(h, self.bias)

    def activation_backward(self, delta: np.ndarray, h: np.ndarray) -> None:
        """In place: delta (N, H), the gradient by the output h, becomes that by x W + b; fills dbias."""
        self._act.backward(delta, h, self.dbias)

    def weight_gradient(self, x: np.ndarray, delta: np.ndarray) -> None:
        """Fill dweight <- x^T delta."""
        np.matmul(x.T, delta, out=self.dweight)

    def input_gradient(self, delta: np.ndarray, dx: np.ndarray) -> None:
        """Dx (N, D) <- delta W^T."""
        np.matmul(delta, self.weight.T, out=dx)
