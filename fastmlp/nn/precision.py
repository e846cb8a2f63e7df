"""The precisions that a network can train in, and the ways to multiply matrices in each."""

from collections.abc import Sequence
from typing import NamedTuple

from fastmlp.nn.activations import ACTIVATIONS


class Precision(NamedTuple):
    """What follows from a precision but for the products themselves, of which `fastmlp_kernels.gemm.elements` knows.

    dtype : name of that of weights, sums, activations and losses
    matmuls : "packed", whole steps in this package's compiled code; "blas", numpy's products. The usual one first
    tolerance : how much the probabilities of an exported graph may differ, which computes in another order: sums of a
        few thousand float32 products differ by some 1e-6 of their size, and logits are of the size of ten. In bfloat16
        such a difference can move a hidden value to the neighbouring number, 2^-8 of it away
    """

    dtype: str
    matmuls: tuple[str, ...]
    tolerance: float


PRECISIONS = {
    "float32": Precision("float32", ("packed", "blas"), 1e-4),
    "float64": Precision("float64", ("packed", "blas"), 1e-12),
    "bfloat16": Precision("float32", ("packed",), 1e-2),
    "int8": Precision("float32", ("packed",), 1e-4),
}

# Inputs and units from which on a layer above a ReLU layer gains from products of bytes.
WIDE = 256


def byte_layers(sizes: Sequence[int], activations: Sequence[str]) -> list[int]:
    """Return the numbers, from 0, of the layers whose products an int8 network forms of 8-bit integers.

    activations : names of those of the layers, or of the hidden ones alone

    They are the first, whose inputs are pixels, and those between wide layers whose inputs are of an activation with
    outputs >= 0, and are rounded to bytes.
    """
    above = (i for i, name in enumerate(activations[: len(sizes) - 2], 1) if ACTIVATIONS[name].as_bytes)
    return [0, *(i for i in above if min(sizes[i], sizes[i + 1]) >= WIDE)]
