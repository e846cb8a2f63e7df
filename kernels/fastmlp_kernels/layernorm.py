"""Layer normalisation of rows and its way back, in one pass over memory each.

J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016). Sums are in float64. What the mean loses when it
is rounded to the array's dtype is taken off each element too, so that rows far from 0 keep their small differences:
`x - mean` is exact where the two are near, and the mean of these is what the rounding left.
"""

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._jit import kernel, part, reduction
from fastmlp_kernels._scratch import release, work_array
from fastmlp_kernels._sums import add_to_total, begin_total
from fastmlp_kernels._views import fill, vector_at
from fastmlp_kernels.reductions import exact_sum

# Rows whose gradients are added up one by one, before sums of sums are taken, which do not drift.
GROUP = 16


@reduction
def _sums_about(row: np.ndarray, center: float) -> tuple[float, float]:
    """Return the sums of row - center and of its square."""
    total, squares = np.float64(0), np.float64(0)
    for j in range(row.size):
        d = np.float64(row[j]) - np.float64(center)
        total += d
        squares += d * d
    return total, squares


@kernel
def _layer_norm(
    x: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    mean: np.ndarray,
    inv_std: np.ndarray,
    eps: float,
) -> None:
    t, width = x.dtype.type, gain.size
    for i in range(x.size // width):
        row, result = vector_at(x, i * width, width), vector_at(out, i * width, width)
        center = t(exact_sum(row) / width)
        total, squares = _sums_about(row, center)
        spread = squares - total * total / width
        spread = np.float64(0) if spread < 0 else spread
        rest, scale = t(total / width), t(1 / np.sqrt(spread / width + eps))
        for j in range(width):
            result[j] = ((row[j] - center) - rest) * scale * gain[j] + bias[j]
        if mean.size > 0:
            mean[i] = center
        if inv_std.size > 0:
            inv_std[i] = scale


@reduction
def _sums_of_gradient(
    delta: np.ndarray, gain: np.ndarray, row: np.ndarray, center: float
) -> tuple[float, float, float]:
    """Return the sums of g = delta * gain, of d = row - center, and of g * d."""
    of_g, of_d, of_both = np.float64(0), np.float64(0), np.float64(0)
    for j in range(row.size):
        d, g = np.float64(row[j]) - np.float64(center), np.float64(delta[j]) * np.float64(gain[j])
        of_g += g
        of_d += d
        of_both += g * d
    return of_g, of_d, of_both


@part
def _back(delta: np.ndarray, row: np.ndarray, gain: np.ndarray, center: float, scale: float, sums: np.ndarray) -> None:
    """In place: a row's gradient by the output becomes that by the input; sums (2 * H,) gain those of gain and bias."""
    t, width = delta.dtype.type, row.size
    of_g, of_d, of_both = _sums_of_gradient(delta, gain, row, center)
    rest = of_d / width
    mean, slope = t(of_g / width), t((of_both - rest * of_g) / width * np.float64(scale))
    by_gain, by_bias, rest = vector_at(sums, 0, width), vector_at(sums, width, width), t(rest)
    for j in range(width):
        d, normal = delta[j], ((row[j] - center) - rest) * scale
        by_gain[j] += d * normal
        by_bias[j] += d
        delta[j] = scale * (d * gain[j] - mean - normal * slope)


@kernel
def _layer_norm_backward(
    delta: np.ndarray,
    x: np.ndarray,
    gain: np.ndarray,
    mean: np.ndarray,
    inv_std: np.ndarray,
    dgain: np.ndarray,
    dbias: np.ndarray,
) -> None:
    width = gain.size
    memory = work_array(x, 4 * width)
    if memory.size == 0:
        raise MemoryError("there is no memory for a row's sums")
    sums = vector_at(memory, 0, 2 * width)
    lost_gain, lost_bias = vector_at(memory, 2 * width, width), vector_at(memory, 3 * width, width)
    begin_total(dgain, lost_gain)
    begin_total(dbias, lost_bias)
    for first in range(0, mean.size, GROUP):
        fill(sums, 0)
        for i in range(first, min(first + GROUP, mean.size)):
            own, row = vector_at(delta, i * width, width), vector_at(x, i * width, width)
            _back(own, row, gain, mean[i], inv_std[i], sums)
        add_to_total(dgain, lost_gain, vector_at(sums, 0, width))
        add_to_total(dbias, lost_bias, vector_at(sums, width, width))
    release(memory)


def _check_eps(eps: float, dtype: np.dtype) -> float:
    real, least = _check.number("eps", eps, np.dtype(np.float64)), np.finfo(dtype).tiny  # whose root has an inverse
    if not real >= least:
        raise ValueError(f"eps is {_check.shown(eps)}, allowed is a number from {least:.3g} on in {dtype}")
    return real


def layer_norm(
    x: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray | None = None,
    mean: np.ndarray | None = None,
    inv_std: np.ndarray | None = None,
    eps: float = 1e-5,
) -> np.ndarray:
    """Layer normalisation (x - mean) / sqrt(var + eps) * gain + bias of each row; returns `out`, or a new array.

    x : (..., H) float32 or float64, C-contiguous, H > 0
    gain, bias : (H,) of the same dtype
    out : of x's shape and dtype; may be x itself, where there is no way back, and may not overlap it otherwise
    mean, inv_std : (...) of the same dtype <- of each row the mean, and 1 / sqrt(var + eps), for `layer_norm_backward`;
        None where they are not wanted
    eps : above 0, and no subnormal number of the dtype

    The variance is the population's (divided by H), as PyTorch has it. Sums are in float64, and rows far from 0 keep
    their small differences: float32 is within 8 ULP of the largest |x - mean| / sqrt(var + eps) * gain, plus the bias.
    A row with a NaN or an infinity becomes NaN, and one whose elements differ by more than the dtype's largest number,
    or in float64 by more than that one's root, has no answer of use. Raises TypeError or ValueError naming
    the argument at fault.
    """
    _check.of_rows("x", x)
    given = {"x": x, "gain": gain, "bias": bias}
    for name, array in (("gain", gain), ("bias", bias)):
        _check.array(name, array, (x.dtype,), x.shape[-1:])
    kept = {name: array for name, array in (("mean", mean), ("inv_std", inv_std)) if array is not None}
    for name, array in kept.items():
        _check.array(name, array, (x.dtype,), x.shape[:-1], writes=True)
    real = _check_eps(eps, x.dtype)
    result = _check.result(out, x.shape, x, in_place=True)
    if out is not None:
        _check.apart(out=out, gain=gain, bias=bias, **kept)
    if kept:
        _check.apart(**given, **kept)
    none = np.empty(0, x.dtype)
    flat_mean, flat_inv_std = (none if array is None else _check.flat(array) for array in (mean, inv_std))
    _layer_norm(_check.flat(x), gain, bias, _check.flat(result), flat_mean, flat_inv_std, real)
    return result


def layer_norm_backward(
    delta: np.ndarray,
    x: np.ndarray,
    gain: np.ndarray,
    mean: np.ndarray,
    inv_std: np.ndarray,
    dgain: np.ndarray,
    dbias: np.ndarray,
) -> None:
    """In place: delta <- the gradient by the input of `layer_norm`; dgain, dbias <- those by gain and bias.

    delta : (..., H) float32 or float64, C-contiguous, H > 0: dLoss/dout, overwritten with dLoss/dx
    x : of the same shape and dtype: what was normalised
    gain : (H,) of the same dtype
    mean, inv_std : (...) of the same dtype, as `layer_norm` gave them
    dgain, dbias : (H,) of the same dtype, overwritten

    With g = delta gain and n = (x - mean) inv_std, delta becomes inv_std (g - mean(g) - n mean(g n)), the means being
    those of a row; dgain is the sum over rows of delta n, dbias that of delta, and neither drifts over many rows.
    Raises TypeError or ValueError naming the argument at fault.
    """
    _check.array("delta", delta, _check.FLOATS, writes=True)
    _check.of_rows("delta", delta)
    dtypes, shapes = (delta.dtype,), {"x": delta.shape, "mean": delta.shape[:-1], "inv_std": delta.shape[:-1]}
    arrays = {"x": x, "gain": gain, "mean": mean, "inv_std": inv_std, "dgain": dgain, "dbias": dbias}
    for name, array in arrays.items():
        _check.array(name, array, dtypes, shapes.get(name, delta.shape[-1:]), writes=name in ("dgain", "dbias"))
    _check.apart(delta=delta, **arrays)
    flat_mean, flat_inv_std = _check.flat(mean), _check.flat(inv_std)
    _layer_norm_backward(_check.flat(delta), _check.flat(x), gain, flat_mean, flat_inv_std, dgain, dbias)
