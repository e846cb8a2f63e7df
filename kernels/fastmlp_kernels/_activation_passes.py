"""Both passes of the activations over rows: bias and activation, and the way back with the bias gradient.

Sizes: `N` rows (images), `H` columns (units). All arrays of a call are of one dtype, float32 or float64.

Both passes treat ROWS rows as one long run against the bias repeated ROWS times, so that vectors are full whatever H
is: with 20 columns, one row would be one vector and four single elements that cost more than the vector. Each place of
the run has its own sum for the bias gradient, and these are added up before they could drift (`_sums`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from fastmlp_kernels._activation_table import ACTIVATIONS, CODES
from fastmlp_kernels._jit import PART, part
from fastmlp_kernels._records import record
from fastmlp_kernels._scratch import SIZE, work_array
from fastmlp_kernels._sums import add_to_total, add_up_rows, begin_total
from fastmlp_kernels._views import copy, fill, vector_at

# A multiple of every vector width. Rows of which so many exceed the work array are long enough one by one.
ROWS = 16
# Additions to one float before sums of sums are taken, so that no sum drifts from its rounding.
GROUP = 16
# Of the family that nearly all networks are of.
USUAL = ("tanh", "sigmoid", "relu", "identity")


@record
class Usual(NamedTuple):
    """The family of `USUAL`, told by type, so that a run without any other compiles their loops alone."""


@record
class Every(NamedTuple):
    """The family of all activations, told by type, for a run that has one beyond `USUAL`."""


Family = Usual | Every


def family_of(names: Iterable[str]) -> Family:
    """Return the family for a run whose activations have these names, any of the table."""
    return Usual() if set(names) <= set(USUAL) else Every()


@part
def _rows_of_run(width: int, size: int) -> int:
    """Return how many rows of this width are treated as one run, of an array of `size` elements.

    Of few rows half as many, or a quarter, as long as these are all: the sums of pairs of rows stay the same.
    """
    rows = ROWS if ROWS * width <= SIZE else 1
    while rows > 1 and rows // 2 * width >= size:
        rows //= 2
    return rows


@part
def _no_forward(run: np.ndarray, tile: np.ndarray, kept: np.ndarray, code: int) -> None:
    pass


@part
def _no_backward(run: np.ndarray, kept: np.ndarray, sums: np.ndarray, code: int) -> None:
    pass


def _loops(names: Sequence[str]) -> tuple[Any, Any]:
    """Return the loops of both passes over a run, for an activation whose code is of one of these names."""
    if not names:
        return _no_forward, _no_backward
    own, (forward1, backward1, keeps_input) = CODES[names[0]], ACTIVATIONS[names[0]]
    other_forward, other_backward = _loops(names[1:])

    @part
    def forward(run: np.ndarray, tile: np.ndarray, kept: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                run[j] = forward1(run[j] + tile[j])
        else:
            other_forward(run, tile, kept, code)

    @part
    def keeping_forward(run: np.ndarray, tile: np.ndarray, kept: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                x = run[j] + tile[j]
                run[j] = x
                kept[j] = x
            for j in range(run.size):  # by itself, and so in vectors also where kept is run
                run[j] = forward1(run[j])
        else:
            other_forward(run, tile, kept, code)

    @part
    def backward(run: np.ndarray, kept: np.ndarray, sums: np.ndarray, code: int) -> None:
        if code == own:
            for j in range(run.size):
                d = backward1(run[j], kept[j])
                run[j] = d
                sums[j] += d
        else:
            other_backward(run, kept, sums, code)

    return (keeping_forward if keeps_input else forward), backward


def passes_for(*names: str) -> tuple[Any, Any]:
    """Return both passes, for an activation whose code is of one of these names: those of its family, less that."""
    forward, backward = _loops(names)

    @part
    def bias_activation(z: np.ndarray, bias: np.ndarray, kept: np.ndarray, code: int) -> None:
        for first in range(0, bias.size, SIZE):  # once, but for rows that exceed the work array
            width = min(bias.size - first, SIZE)
            rows = _rows_of_run(bias.size, z.size)
            tile = vector_at(work_array(bias, SIZE), 0, rows * width)
            for r in range(rows):
                copy(vector_at(bias, first, width), vector_at(tile, r * width, width))
            for start in range(first, z.size, rows * bias.size):
                count = min(tile.size, z.size - start)
                forward(vector_at(z, start, count), tile, vector_at(kept, start, count), code)

    @part
    def activation_backward(delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray, code: int) -> None:
        for first in range(0, dbias.size, SIZE):
            width = min(dbias.size - first, SIZE)
            rows = _rows_of_run(dbias.size, delta.size)
            sums = vector_at(work_array(dbias, SIZE), 0, rows * width)
            total, excess = vector_at(dbias, first, width), vector_at(work_array(dbias, SIZE), 0, width)
            begin_total(total, excess)
            step = rows * dbias.size
            for group in range(first, delta.size, GROUP * step):
                fill(sums, 0)
                for start in range(group, min(group + GROUP * step, delta.size), step):
                    count = min(sums.size, delta.size - start)
                    backward(vector_at(delta, start, count), vector_at(kept, start, count), sums, code)
                add_to_total(total, excess, add_up_rows(sums, rows, width))

    return bias_activation, activation_backward


# For a compiled run that is told its activations.
_FAMILIES = {Usual: passes_for(*USUAL), Every: passes_for(*ACTIVATIONS)}


def bias_activation(z: np.ndarray, bias: np.ndarray, kept: np.ndarray, code: int, family: Family) -> None:
    """In place: z (N, H) <- act(z + bias), for the activation of this code, which is one of the family.

    kept : (N, H) <- z + bias, where the activation keeps its input; may be z, where nothing is to be kept
    """
    _FAMILIES[type(family)][0](z, bias, kept, code)


def activation_backward(delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray, code: int, family: Family) -> None:
    """In place: delta (N, H) <- delta * act', and dbias (H,) <- its column sums, for the activation of this code.

    kept : (N, H) what `bias_activation` kept, or its output where the activation keeps none else
    """
    _FAMILIES[type(family)][1](delta, kept, dbias, code)


@overload(bias_activation, jit_options=PART)
def _overload_bias_activation(z, bias, kept, code, family):
    forward = _FAMILIES[family.instance_class][0]
    return lambda z, bias, kept, code, family: forward(z, bias, kept, code)  # noqa: ARG005


@overload(activation_backward, jit_options=PART)
def _overload_activation_backward(delta, kept, dbias, code, family):
    backward = _FAMILIES[family.instance_class][1]
    return lambda delta, kept, dbias, code, family: backward(delta, kept, dbias, code)  # noqa: ARG005
