"""Matrix products in float32, bfloat16 and int8, by themselves or as a dense layer's way forward and its update.

    matmul          out <- A B, with either operand transposed
    matmul_int8     out <- A B for uint8 A and int8 B, summed in 32-bit integers
    dense_forward   out <- activation(X W + bias)
    dense_update    the gradient X^T delta goes straight into a momentum step of W, and is never a whole array

X is a float32 matrix or `Images`: rows picked from uint8 images and normalised while they are packed, so that a
normalised batch is never written to memory either. The blocking and its names are those of the BLIS papers: see
`blocks`, `pack` and `micro`. The result has the same bits for any number of threads.

With precision "bfloat16", operands are rounded to the nearest bfloat16 (ties to even, NaN kept) and their products
summed in float32; what an operand has below float32's smallest normal number may count as zero. Images stay 0..255,
exact in bfloat16, and the product is normalised instead. For row i of mean m_i and inv_std s_i, channel by channel:

    sum_k s_i (x_ik - m_i) w_kj = s_i (sum_k x_ik w_kj - m_i sum_k w_kj)               w rounded
    sum_i s_i (x_ik - m_i) d_ij = sum_i x_ik (s_i d_ij) - sum_i m_i (s_i d_ij)         s_i d_ij rounded

A CPU without bfloat16 instructions (`bfloat16.BFLOAT16_IN_HARDWARE`) does the same in float32 arithmetic, slower than
float32 itself; a RuntimeWarning says so once.

Each call packs its right operand anew (for a few rows of A that costs more than the product) and allocates its work
arrays: as much as the right operand, and for each thread a block of A and of the result. The first call of each kind
compiles for one to three seconds; `warmup` leaves these functions out.
"""

from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._align import aligned_zeros, read_only
from fastmlp_kernels._optimizers import Update
from fastmlp_kernels._team import Team
from fastmlp_kernels.activations import CODES
from fastmlp_kernels.bfloat16 import FLOAT32, warn_where_slow
from fastmlp_kernels.gemm.blocks import MC, MR, a_elements, c_elements, padded
from fastmlp_kernels.gemm.bytes import SPAN, quads
from fastmlp_kernels.gemm.pack import NR
from fastmlp_kernels.gemm.products import Source, Work
from fastmlp_kernels.gemm.products import dense_forward as _dense_forward
from fastmlp_kernels.gemm.products import dense_update as _dense_update
from fastmlp_kernels.gemm.products import matmul as _matmul
from fastmlp_kernels.gemm.products import matmul_int8 as _matmul_int8
from fastmlp_kernels.gemm.quads import EXACT_DEPTH
from fastmlp_kernels.int8 import warn_where_slow as warn_where_bytes_are_slow
from fastmlp_kernels.normalize import _check_images
from fastmlp_kernels.update import checked_momentum

# Where a slip of the pen would otherwise start ten thousand threads; more than the cores only cost time.
MOST_THREADS = 256


NO_INDEX = read_only(np.empty(0, np.int64))


class _Packed(NamedTuple):
    """How an operand is packed: the array's dtype, and how many of its elements are in one of the array's."""

    dtype: np.dtype
    per_unit: int


PRECISIONS = {"float32": _Packed(np.dtype(np.float32), 1), "bfloat16": _Packed(np.dtype(np.int32), 2)}


class Images(NamedTuple):
    """The rows (images[index] - mean[index]) * inv_std[index], (N, D).

    images : (M, D) uint8, C-contiguous; index : (N,) int64, each in [0, M), in any order, repeated or not
    mean, inv_std : (M, C) float32, as from `image_moments`, one for each of the C equal parts of an image
    """

    images: np.ndarray
    index: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride] - no one looks a value up in it
    mean: np.ndarray
    inv_std: np.ndarray


def _check_choice(name: str, value: object, allowed: dict[str, Any]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}, allowed is {' or '.join(map(repr, allowed))}")


def _check_settings(precision: str, threads: int) -> int:
    """Check both; return the threads as an int."""
    _check_choice("precision", precision, PRECISIONS)
    threads = _check.count("threads", threads, MOST_THREADS)
    if precision == "bfloat16":
        warn_where_slow()
    return threads


def _check_written(written: dict[str, np.ndarray], read: dict[str, np.ndarray]) -> None:
    """Check that no output shares memory with anything; inputs may with each other."""
    _check.apart(**written)
    for name, array in read.items():
        for output, values in written.items():
            _check.apart(**{output: values, name: array})


def _work(precision: str, threads: int, columns: int, depth: int, channels: int = 1, *, raw: bool = False) -> Work:
    """Return work arrays for a right operand of `channels` times `depth` rows, each channel packed by itself."""
    dtype, per_unit = PRECISIONS[precision]
    width = padded(columns, NR)
    return Work(
        packed=aligned_zeros(channels * padded(depth, per_unit) // per_unit * width, dtype),
        sums=aligned_zeros((channels, width), np.float32) if raw else None,
        a=aligned_zeros((threads, a_elements()), dtype),
        c=aligned_zeros((threads, c_elements(columns)), np.float32),
    )


def _share(rows: int, threads: int) -> tuple[int, int]:
    """Return (rows a task, threads that find one): blocks of less than mc rows where each would not get one."""
    step = min(MC, padded(-(-rows // threads), MR))
    return step, min(threads, -(-rows // step))


def _run(threads: int, function: Any, *arguments: Any) -> None:
    # The threads live as long as the call: one that slept on would be missing in a forked process, and to start it
    # costs less than it saves in any product that is worth sharing.
    with closing(Team(threads)) as team:
        team.run(function, *arguments)


def _is_raw(source: Source, precision: str) -> bool:
    """Return whether images are multiplied as they are, and the product is normalised."""
    return source.center is not None and PRECISIONS[precision].dtype != np.float32


def _check_source(x: np.ndarray | Images) -> tuple[Source, tuple[int, int], dict[str, np.ndarray]]:
    """Check X; return it as the kernels take it, its shape (N, D), and its arrays by name."""
    if not isinstance(x, Images):
        _check.array("x", x, FLOAT32, ndim=2)
        return Source(read_only(x), NO_INDEX, None, None), x.shape, {"x": x}
    images, index, mean, inv_std = x
    _check.array("mean", mean, FLOAT32, ndim=2)
    _check_images(images, mean.shape[1])
    _check.array("mean", mean, FLOAT32, (len(images), mean.shape[1]))
    _check.array("inv_std", inv_std, FLOAT32, mean.shape)
    _check.array("index", index, _check.INT64, ndim=1)
    _check.in_range("index", index, len(images))
    # a row a channel, in the order of the batch
    center, scale = np.ascontiguousarray(mean[index].T), np.ascontiguousarray(inv_std[index].T)
    source = Source(read_only(images), read_only(index), center, scale)
    return source, (len(index), images.shape[1]), x._asdict()


def matmul(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    precision: str = "float32",
    threads: int = 1,
) -> None:
    """Out <- A B, where A is a or its transpose, and B is b or its transpose.

    a : (M, K), or (K, M) with transpose_a; b : (K, N), or (N, K) with transpose_b; out : (M, N), overwritten; all
        float32, C-contiguous; a and b may share memory. Any size may be 0; with K = 0, out becomes zeros
    precision : "float32" or "bfloat16", see the module
    threads : how many work at once, the caller among them; no more than there are rows to share

    Raises TypeError or ValueError naming the argument at fault.
    """
    threads = _check_settings(precision, threads)
    _check.array("a", a, FLOAT32, ndim=2)
    _check.array("b", b, FLOAT32, ndim=2)
    (rows, depth), (depth_b, columns) = a.shape[:: -1 if transpose_a else 1], b.shape[:: -1 if transpose_b else 1]
    if depth != depth_b:
        raise ValueError(
            f"inner dimensions differ: A is {(rows, depth)} and B is {(depth_b, columns)}, transposed where asked for"
        )
    _check.array("out", out, FLOAT32, (rows, columns), writes=True)
    _check_written({"out": out}, {"a": a, "b": b})
    if out.size:
        step, members = _share(rows, threads)
        work = _work(precision, members, columns, depth)
        _run(members, _matmul, read_only(a), read_only(b), (bool(transpose_a), bool(transpose_b)), out, step, work)


def matmul_int8(a: np.ndarray, b: np.ndarray, out: np.ndarray, *, transpose_a: bool = False, threads: int = 1) -> None:
    """Out <- A B, where A is a or its transpose.

    a : (M, K) uint8, or (K, M) with transpose_a; b : (K, N) int8; all C-contiguous. Any size may be 0
    out : (M, N), overwritten. int32: the product exactly, for K of at most 65,793, up to which no sum can leave the
        range of 32 bits, whatever the bytes. float32: for any K; exact sums of at most so many products are rounded to
        float32 and added up
    threads : as in `matmul`

    `int8.INSTRUCTIONS` says what does it here; a CPU without any does the same, slower, and a RuntimeWarning says so
    once.
    Raises TypeError or ValueError naming the argument at fault.
    """
    threads = _check.count("threads", threads, MOST_THREADS)
    warn_where_bytes_are_slow()
    _check.array("a", a, (np.dtype(np.uint8),), ndim=2)
    _check.array("b", b, (np.dtype(np.int8),), ndim=2)
    rows, depth = a.shape[:: -1 if transpose_a else 1]
    if depth != len(b):
        raise ValueError(
            f"inner dimensions differ: A is {(rows, depth)}, transposed where asked for, and B is {b.shape}"
        )
    _check.array("out", out, (np.dtype(np.int32), np.dtype(np.float32)), (rows, b.shape[1]), writes=True)
    if out.dtype == np.int32 and depth > EXACT_DEPTH:
        raise ValueError(f"K is {depth:,}, allowed for an int32 result is at most {EXACT_DEPTH:,}: give a float32 out")
    _check_written({"out": out}, {"a": a, "b": b})
    if out.size and depth:
        step, members = _share(rows, threads)
        right = quads(depth, b.shape[1], woven=bool(transpose_a))
        work = tuple(
            aligned_zeros((members, n), kind)
            for n, kind in ((a_elements(), np.uint32), (c_elements(b.shape[1]), np.int32))
        )
        span = SPAN if out.dtype == np.float32 else EXACT_DEPTH + 1
        _run(members, _matmul_int8, read_only(a), read_only(b), bool(transpose_a), out, step, span, right, work)
    else:
        out[...] = 0


def dense_forward(
    x: np.ndarray | Images,
    weight: np.ndarray,
    bias: np.ndarray,
    activation: str,
    out: np.ndarray,
    *,
    precision: str = "float32",
    threads: int = 1,
) -> None:
    """Out <- activation(X W + bias), all that the way back needs of this layer.

    x : (N, D) float32, C-contiguous, or `Images`
    weight : (D, H), bias : (H,), out : (N, H), overwritten; float32, C-contiguous
    activation : "tanh", "sigmoid", "relu" or "identity", as in `bias_tanh` and its kin
    precision, threads : as in `matmul`

    Raises TypeError or ValueError naming the argument at fault.
    """
    threads = _check_settings(precision, threads)
    _check_choice("activation", activation, CODES)
    source, (n, d), arrays = _check_source(x)
    _check.array("weight", weight, FLOAT32, ndim=2)
    h = weight.shape[1]
    _check.array("weight", weight, FLOAT32, (d, h))
    _check.array("bias", bias, FLOAT32, (h,))
    _check.array("out", out, FLOAT32, (n, h), writes=True)
    _check_written({"out": out}, {**arrays, "weight": weight, "bias": bias})
    if out.size:
        channels = 1 if source.center is None else len(source.center)
        step, members = _share(n, threads)
        work = _work(precision, members, h, d // channels, channels, raw=_is_raw(source, precision))
        _run(members, _dense_forward, source, read_only(weight), read_only(bias), CODES[activation], out, step, work)


def dense_update(
    x: np.ndarray | Images,
    delta: np.ndarray,
    weight: np.ndarray,
    velocity: np.ndarray,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    precision: str = "float32",
    threads: int = 1,
) -> None:
    """In place: v <- momentum * v - lr * (X^T delta + weight_decay * w), then w <- w + v.

    x : (N, D) float32, C-contiguous, or `Images`; delta : (N, H) float32: dLoss/dz of this layer, of the mean loss
    weight, velocity : (D, H) float32, C-contiguous, overwritten
    lr, momentum, weight_decay : as in `momentum_step`; precision, threads : as in `matmul`

    Raises TypeError or ValueError naming the argument at fault.
    """
    threads = _check_settings(precision, threads)
    source, (n, d), arrays = _check_source(x)
    _check.array("delta", delta, FLOAT32, ndim=2)
    h = delta.shape[1]
    _check.array("delta", delta, FLOAT32, (n, h))
    _check.array("weight", weight, FLOAT32, (d, h), writes=True)
    _check.array("velocity", velocity, FLOAT32, (d, h), writes=True)
    _check_written({"weight": weight, "velocity": velocity}, {**arrays, "delta": delta})
    settings = checked_momentum(lr, momentum, weight_decay, weight.dtype)
    if weight.size:
        raw = _is_raw(source, precision)
        channels = len(source.center) if raw and source.center is not None else 1  # each has a delta scaled for itself
        step, members = _share(d, threads)
        work = _work(precision, members, h, n, channels, raw=raw)
        update = Update(weight.reshape(-1), velocity.reshape(1, -1), 0, h, settings)
        _run(members, _dense_update, source, read_only(delta), update, step, work)
