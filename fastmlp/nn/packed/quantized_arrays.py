"""Allocation of the arrays of layers that multiply 8-bit integers; see `state`."""

from collections.abc import Sequence

import numpy as np

from fastmlp.nn.packed.state import QuantizedErrors, QuantizedInputs, QuantizedWeights
from fastmlp_kernels._align import aligned_zeros
from fastmlp_kernels.gemm.blocks import MC
from fastmlp_kernels.gemm.elements import ELEMENTS
from fastmlp_kernels.gemm.panels import NR, padded, panels

BYTES = ELEMENTS["int8"]


def floats(*shape: int) -> np.ndarray:
    """Return float32 zeros of this shape, any shape."""
    return aligned_zeros(shape, np.float32)


def quantized_weights(sizes: Sequence[int], members: int, elements: int, tasks: int) -> QuantizedWeights:
    """Return arrays for so many units of packed weights."""
    units = sizes[1:]
    return QuantizedWeights(
        packed=aligned_zeros(elements, BYTES.unit),
        peaks=aligned_zeros((tasks, max(units)), np.int32),
        steps=floats(members, 2, sum(units)),
    )


def quantized_errors(layers: np.ndarray, members: int, n: int, blocks: int) -> QuantizedErrors:
    """Return arrays for batches of n rows; layers : (n,) table of `LAYER`, dtype too, whose offsets are set."""
    columns, channels, units = 0, int(layers[0]["channels"]), layers["units"]
    for layer in layers:
        if not layer["quantized"]:
            continue
        layer["delta"] = columns * -(-n // BYTES.per_unit)
        columns += padded(int(layer["units"]), int(NR)) * int(layer["channels"])
    return QuantizedErrors(
        values=floats(n * int(units.sum())),
        peaks=aligned_zeros((blocks, channels, int(units.sum())), np.int32),
        steps=floats(members, channels, 2, int(units.sum())),
        packed=panels(BYTES, n, columns, transposed_left=True),
        less=floats(-(-n // MC), channels, padded(int(units[0]), int(NR))),
        total=floats(members, int(units.max())),
    )


def quantized_inputs(sizes: Sequence[int], n: int) -> QuantizedInputs:
    """Return arrays for batches of n rows."""
    units = sizes[1:]
    return QuantizedInputs(
        values=aligned_zeros(n * sum(units), np.uint8),
        scale=floats(len(units), n, 1),
        center=floats(n, 1),
        sums=floats(1, padded(max(units), int(NR))),
    )
