"""Makes the arrays of layers that multiply bytes; see `state`."""

from collections.abc import Sequence

import numpy as np

from fastmlp.nn.packed.state import ERRORS, ROUNDED, RoundedErrors, RoundedInputs, RoundedWeights
from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels.gemm.blocks import MC, padded
from fastmlp_kernels.gemm.bytes import quads
from fastmlp_kernels.gemm.pack import NR
from fastmlp_kernels.gemm.quads import QUAD


def floats(*shape: int) -> np.ndarray:
    """Return float32 zeros."""
    return aligned_zeros(shape, np.float32)


def rounded_weights(sizes: Sequence[int], members: int, elements: int, tasks: int) -> RoundedWeights:
    """Return room for so many quads of packed weights."""
    units = sizes[1:]
    return RoundedWeights(
        packed=aligned_zeros(elements, np.uint32),
        peaks=aligned_zeros((tasks, max(units)), np.int32),
        steps=floats(members, 2, sum(units)),
    )


def rounded_errors(
    sizes: Sequence[int], members: int, layers: np.ndarray, n: int, channels: int, blocks: int
) -> RoundedErrors:
    """Return room for batches of n rows; note in the table `layers` where each layer's part begins."""
    units = sizes[1:]
    columns, quads_of_rows = 0, -(-n // QUAD)
    for i in range(len(units)):
        if not layers[i, ROUNDED]:
            continue
        layers[i, ERRORS] = columns * quads_of_rows
        columns += padded(units[i], NR) * (channels if i == 0 else 1)
    return RoundedErrors(
        values=floats(n * sum(units)),
        peaks=aligned_zeros((blocks, channels, sum(units)), np.int32),
        steps=floats(members, channels, 2, sum(units)),
        packed=quads(n, columns, woven=True),
        less=floats(-(-n // MC), channels, padded(units[0], NR)),
        total=floats(members, max(units)),
    )


def rounded_inputs(sizes: Sequence[int], n: int) -> RoundedInputs:
    """Return room for batches of n rows."""
    units = sizes[1:]
    return RoundedInputs(
        values=aligned_zeros(n * sum(units), np.uint8),
        scale=floats(len(units), 1, n),
        center=floats(1, n),
        rows=np.arange(n),
        sums=floats(1, padded(max(units), NR)),
    )
