"""The logits of a few rows, whose products read the weights as they lie.

A batch packs the network's weights first and hands a dozen records to compiled code, which takes longer than what a row
needs of them. The sums are taken in the same order as there, so that a row's logits have the same bits either way.
"""

import numpy as np

from fastmlp.nn.packed.state import Table, bias_of, weight_of
from fastmlp_kernels._activation_passes import Every, Family, Usual, bias_activation
from fastmlp_kernels._jit import kernel, part, reduction
from fastmlp_kernels._llvm import multiply_add1
from fastmlp_kernels._views import fill, matrix_at, row_at, vector_at

# Multiply-adds up to which several rows are so multiplied; more are faster in tiles, packing and all. One always is.
MOST = 1 << 21


@part
def _multiply_row(x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    """out (H,) <- x W, for x (D,) and weight (D, H); four rows of W at a time, as a pass over out costs loads of it."""
    # The elements of x are read before the loops: within, LLVM must take it that out may be x, and leaves them scalar.
    fill(out, 0)
    depth, whole = x.size, x.size // 4 * 4
    for k in range(0, whole, 4):
        w, w2, w3, w4 = row_at(weight, k), row_at(weight, k + 1), row_at(weight, k + 2), row_at(weight, k + 3)
        own = vector_at(x, k, 4)
        x1, x2, x3, x4 = own[0], own[1], own[2], own[3]
        for j in range(out.size):
            total = multiply_add1(x1, w[j], out[j])
            total = multiply_add1(x2, w2[j], total)
            total = multiply_add1(x3, w3[j], total)
            out[j] = multiply_add1(x4, w4[j], total)
    for k in range(whole, depth):
        w = row_at(weight, k)
        x1 = vector_at(x, k, 1)[0]
        for j in range(out.size):
            out[j] = multiply_add1(x1, w[j], out[j])


@reduction
def _zero_if_finite(row: np.ndarray) -> float:
    total = row.dtype.type(0)
    for k in range(row.size):
        total += row[k] * row.dtype.type(0)  # NaN of NaN and infinity
    return total


@part
def _logits(
    x: np.ndarray, layers: Table, family: Family, parameters: np.ndarray, space: np.ndarray, out: np.ndarray
) -> bool:
    """out (N, K) <- the logits of rows x (N, D); return whether all of x is finite.

    layers : (n,) table of LAYER; parameters : (P,); space : (2, widest layer), a work array; floats of one dtype
    """
    check, last = x.dtype.type(0), layers.shape[0] - 1
    for r in range(x.shape[0]):
        row = row_at(x, r)
        check += _zero_if_finite(row)
        for i in range(layers.shape[0]):
            layer = layers[i]
            bias = bias_of(layer, parameters)
            z = row_at(out, r) if i == last else vector_at(space, i % 2 * space.shape[1], layer.units)
            _multiply_row(row, weight_of(layer, parameters), z)
            if i < last:
                all_of_it = matrix_at(z, 0, 1, layer.units)
                bias_activation(all_of_it, bias, all_of_it, layer.activation, family)
            else:
                for j in range(z.size):
                    z[j] += bias[j]
            row = z
    return check == 0


@kernel
def _logits_of_usual(x: np.ndarray, layers: Table, parameters: np.ndarray, space: np.ndarray, out: np.ndarray) -> bool:
    return _logits(x, layers, Usual(), parameters, space, out)


@kernel
def _logits_of_every(x: np.ndarray, layers: Table, parameters: np.ndarray, space: np.ndarray, out: np.ndarray) -> bool:
    return _logits(x, layers, Every(), parameters, space, out)


# By the family of the activations: as an argument it takes numba longer to look at than a small network takes.
FEW_LOGITS = {Usual: _logits_of_usual, Every: _logits_of_every}
