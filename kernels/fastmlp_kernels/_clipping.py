"""Clipping of gradients by their norm, that of all parameters as one vector.

R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013. Where threads
share the work, each sum is that of a block, and these are added in their order: the norm has the same bits however many
threads there are.
"""

import math

import numpy as np

from fastmlp_kernels._jit import part


@part
def clipping_factor(squares: float, most: float) -> float:
    """Return what a gradient is multiplied by so that its norm, the root of `squares`, is about `most` at the most."""
    factor = most / (math.sqrt(squares) + 1e-6)
    return 1.0 if factor > 1.0 else factor  # NaN stays NaN


@part
def scale(values: np.ndarray, factor: float) -> None:
    """In place: values (N,) <- factor * values, of any float."""
    own = values.dtype.type(factor)
    for i in range(values.size):
        values[i] *= own
