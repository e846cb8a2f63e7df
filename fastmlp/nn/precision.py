"""The precisions that a network can train in, and the ways to multiply matrices in each."""

from collections.abc import Sequence

from fastmlp.nn.activations import ACTIVATIONS

# packed: whole steps in this package's compiled code; blas: numpy's products. The usual one first.
MATMULS = {"float32": ("packed", "blas"), "float64": ("blas",), "bfloat16": ("packed",), "int8": ("packed",)}
PRECISIONS = tuple(MATMULS)

# Inputs and units from which on a layer above a ReLU layer gains from products of bytes.
WIDE = 256


def byte_layers(sizes: Sequence[int], activation: str) -> list[int]:
    """Return the numbers, from 0, of the layers whose products an int8 network forms of 8-bit integers.

    They are the first, whose inputs are pixels, and those between wide layers of an activation with outputs >= 0, which
    are rounded to bytes.
    """
    hidden = range(1, len(sizes) - 1) if ACTIVATIONS[activation].as_bytes else ()
    return [0, *(i for i in hidden if min(sizes[i], sizes[i + 1]) >= WIDE)]
