"""Dropout in a compiled run: a hidden layer's outputs on the way up, and the gradients by them on the way down.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to prevent neural
networks from overfitting" (JMLR 15, 2014), with the outputs that stay scaled up, so that evaluation changes nothing.
What is dropped follows from the step, the layer, the row's number in the batch and the unit, so that it is made twice
instead of kept, and is the same for any number of threads.
"""

import numpy as np

from fastmlp.nn.packed.state import Batch, Drops, Record
from fastmlp_kernels._jit import part
from fastmlp_kernels._random import Dropout, drop_rows
from fastmlp_kernels._views import copy


@part
def _drop(drops: Drops, layer: Record, batch: Batch, x: np.ndarray, first: int) -> None:
    if batch.step >= 0:
        i: int = layer.number
        drop_rows(x, x, Dropout(drops.thresholds[i], drops.scales[i], drops.seed), batch.step, i + 1, first)


@part
def drop_outputs(drops: Drops, layer: Record, batch: Batch, h: np.ndarray, kept: np.ndarray, first: int) -> None:
    """In place: drop outputs h (N, H), any float, of a layer in training, and keep what its activation wants of them.

    kept : (N, H) <- the outputs before, unless the activation keeps its inputs
    first : number of the first row in the batch
    """
    if layer.drops == 1:
        if layer.keeps_input == 0:
            copy(h, kept)
        _drop(drops, layer, batch, h, first)


@part
def drop_gradients(drops: Drops, layer: Record, batch: Batch, delta: np.ndarray, first: int) -> None:
    """In place: drop gradients delta (N, H), any float, by outputs of a layer that were dropped; see `drop_outputs`."""
    if layer.drops == 1:
        _drop(drops, layer, batch, delta, first)
