"""Matrix products in float32, float64, bfloat16 and int8, by themselves or as a dense layer's forward pass and update.

    matmul          out <- A B, with either operand transposed
    matmul_int8     out <- A B for uint8 A and int8 B, summed in 32-bit integers
    dense_forward   out <- activation(X W + bias)
    dense_update    the gradient X^T delta goes straight into a momentum step of W, and is never a whole array

X is a matrix or `Rows`: rows picked from uint8 images and normalised while they are packed, so that a
normalised batch is never written to memory either. The blocking and its names are those of the BLIS papers: see
`blocks`, `pack` and `micro`. The result has the same bits for any number of threads.

All floats of a call are float32, or float64 with precision "float64".

With precision "bfloat16", operands are rounded to the nearest bfloat16 (ties to even, NaN kept) and their products
summed in float32; what an operand has below float32's smallest normal number may count as zero. Images stay 0..255,
exact in bfloat16, and the product is normalised instead. For row i of mean m_i and inv_std s_i, channel by channel:

    sum_k s_i (x_ik - m_i) w_kj = s_i (sum_k x_ik w_kj - m_i sum_k w_kj)               w rounded
    sum_i s_i (x_ik - m_i) d_ij = sum_i x_ik (s_i d_ij) - sum_i m_i (s_i d_ij)         s_i d_ij rounded

`bfloat16.INSTRUCTIONS` says what does it here; a CPU without any does the same in float32 arithmetic, slower than
float32 itself; a RuntimeWarning says so once.

Each call packs its right operand anew, but for a few rows of A. Its work arrays, as much as the right operand and for
each thread a block of A and of the result, are kept for calls of the same sizes by the same thread, up to 16 MiB. The
first call of each kind compiles for one to three seconds; `warmup` leaves these functions out.
"""

import threading
from typing import Any, NamedTuple

import numpy as np

from fastmlp_kernels import _check
from fastmlp_kernels._activation_passes import family_of
from fastmlp_kernels._align import aligned_zeros, read_only
from fastmlp_kernels._crew import Crew, helpers
from fastmlp_kernels._jit import machine_code
from fastmlp_kernels._optimizers import Update
from fastmlp_kernels._rows import Rows
from fastmlp_kernels.activations import CODES
from fastmlp_kernels.gemm.blocks import MC, MR, a_elements, c_elements
from fastmlp_kernels.gemm.elements import ELEMENTS, Element
from fastmlp_kernels.gemm.panels import NR, Panels, Work, padded, panels
from fastmlp_kernels.gemm.products import Chosen
from fastmlp_kernels.gemm.products import dense_forward as _dense_forward
from fastmlp_kernels.gemm.products import dense_update as _dense_update
from fastmlp_kernels.gemm.products import matmul as _matmul
from fastmlp_kernels.normalize import check_images
from fastmlp_kernels.update import checked_momentum

_Dtypes = tuple[np.dtype, ...]

# Where a slip of the pen would otherwise start ten thousand threads; more than the cores only cost time.
MOST_THREADS = 256
# Operations below which one thread is as fast as several.
SHARED_FLOP = 3e6
# Operations for each look for a helper that is being woken: a quarter of what one thread could do meanwhile, so that
# waiting in vain costs no more.
LOOK_FLOP = 16_000
# Bytes of work arrays that a thread keeps for its next calls: pages that are new take longer than a small product.
MOST_KEPT = 16 << 20
SUMS = Panels._fields.index("sums")
# Of these functions' operands, floats; bytes have a product of their own.
PRECISIONS = ("float32", "float64", "bfloat16")

Images = Rows  # its name in earlier versions


def _check_choice(name: str, value: object, allowed: Any) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}, allowed is {' or '.join(map(repr, allowed))}")


def _check_settings(precision: str, threads: int) -> tuple[Element, int]:
    """Check precision and threads; return the precision's element, and the threads as an int."""
    _check_choice("precision", precision, PRECISIONS)
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:  # as a rule it is
        threads = _check.count("threads", threads, MOST_THREADS)
    ELEMENTS[precision].warn_where_slow()
    return ELEMENTS[precision], threads


def _check_written(written: dict[str, np.ndarray], read: dict[str, np.ndarray]) -> None:
    """Check that no written array shares memory with another; read ones may with each other."""
    if len(written) > 1:
        _check.apart(**written)
    for name, array in read.items():
        for output, values in written.items():
            if np.may_share_memory(values, array):
                _check.apart(**{output: values, name: array})


def _are_usual(a: np.ndarray, b: np.ndarray, out: np.ndarray, dtype: np.dtype) -> bool:
    """Whether of a product's matrices nothing more is to be checked but that their shapes fit."""
    return (
        _check.are_usual(a, out)
        and _check.are_usual(b, out)
        and out.dtype == dtype
        and a.ndim == b.ndim == out.ndim == 2
    )


def _share(rows: int, threads: int, flop: int) -> tuple[int, int]:
    """Return (rows a task, threads): mc rows, or fewer where not every thread would get a task."""
    if threads == 1 or flop < SHARED_FLOP:
        return min(MC, padded(rows, MR)), 1
    step = min(MC, padded(-(-rows // threads), MR))
    return step, min(threads, -(-rows // step))


class _Sizes(NamedTuple):
    """What a product's work arrays depend on.

    depth, columns : of the right operand; width : columns of the result; step, members : of `_share`
    raw : channels of raw images, or 0
    """

    precision: str
    depth: int
    columns: int
    width: int
    step: int
    members: int
    transposed_left: bool = False
    raw: int = 0


class _Made(NamedTuple):
    """A plan in plain tuples, its bytes, and for one member what stands for a crew, which no other call uses."""

    sizes: _Sizes
    plan: Any
    size: int
    alone: Crew | None


class _Kept(threading.local):
    """Each thread's plans that no call is using, by their sizes."""

    def __init__(self) -> None:
        self.plans: dict[tuple[Any, ...], _Made] = {}


_KEPT = _Kept()


def _made(sizes: _Sizes) -> _Made:
    """Allocate for such sizes."""
    element, members, raw = ELEMENTS[sizes.precision], sizes.members, sizes.raw
    right = panels(element, sizes.depth, sizes.columns, transposed_left=sizes.transposed_left)
    right = right._replace(sums=aligned_zeros((raw, padded(sizes.width, int(NR))), np.float32) if raw else None)
    work = Work(
        a=aligned_zeros((members, a_elements(element)), element.unit),
        c=aligned_zeros((members, c_elements(sizes.width)), element.accumulator),  # the result of no inner dimension
    )
    size = sum(a.nbytes for a in (*right, *work) if isinstance(a, np.ndarray))
    return _Made(sizes, (sizes.step, tuple(right), tuple(work)), size, helpers.alone() if members == 1 else None)


def _run(sizes: tuple[Any, ...], flop: int, function: Any, *arguments: Any) -> _Made:
    """Call with the plan of `_Sizes`, or a plain tuple like it, and return that."""
    # a signal's handler may come between, and call the same function: it gets a plan of its own
    kept = _KEPT.plans
    before = kept.pop(sizes, None)
    made = before or _made(_Sizes(*sizes))
    own, plan, _, alone = made
    if alone is not None:
        function(alone, *arguments, plan)
    else:
        helpers.run(own.members, int(flop // LOOK_FLOP), function, *arguments, plan)
    if own.raw:
        plan[1][SUMS].fill(0)
    kept[sizes] = made
    while not before and sum(one.size for one in list(kept.values())) > MOST_KEPT:
        kept.pop(next(iter(kept), sizes), None)
    return made


# (a, b, whether each is transposed, out)
_Operands = tuple[np.ndarray, np.ndarray, tuple[bool, bool], np.ndarray]
# Machine code of `_matmul` by what the types of its arguments depend on.
_CODES: dict[tuple[str, bool], Any] = {}


def _multiply(precision: str, operands: _Operands, threads: int, *, usual: bool) -> None:
    a, b, transposed, out = operands
    (rows, columns), depth = out.shape, a.shape[0 if transposed[0] else 1]
    flop = 2 * rows * depth * columns
    sizes = (precision, depth, columns, columns, *_share(rows, threads, flop), transposed[0], 0)
    kind = precision, transposed[0]
    code = _CODES.get(kind) if usual else None
    if code is not None:  # numba's look at the types, and read-only views for it, take 2 us
        _run(sizes, flop, code, *operands)
        return
    operands = (read_only(a), read_only(b), transposed, out)
    made = _run(sizes, flop, _matmul, *operands)
    if usual:
        _CODES[kind] = machine_code(_matmul, made.alone or helpers.alone(), *operands, made.plan)


def _channels(rows: Rows) -> int:
    return 1 if rows.center is None else rows.center.shape[1]


def _is_raw(rows: Rows, element: Element) -> bool:
    """Return whether raw images are multiplied, and the product is normalised instead."""
    return rows.center is not None and element.raw_images


def _check_rows(x: np.ndarray | Rows, dtypes: _Dtypes) -> tuple[Rows, tuple[int, int], dict[str, np.ndarray]]:
    """Check X of these dtypes; return it as `Rows` for compiled code, its shape (N, D), and its arrays by name."""
    if not isinstance(x, Rows):
        _check.array("x", x, dtypes, ndim=2)
        return Rows(x).compiled(), x.shape, {"x": x}
    _check.array("center", x.center, dtypes, ndim=2)
    check_images(x.x, x.center.shape[1], "x")
    _check.array("center", x.center, dtypes, (len(x.x), x.center.shape[1]))
    _check.array("scale", x.scale, dtypes, x.center.shape)
    count = len(x.x)
    if x.index is not None:
        _check.array("index", x.index, _check.INT64, ndim=1)
        _check.in_range("index", x.index, count)
        count = len(x.index)
    rows = x.compiled()
    return rows, (count, x.x.shape[1]), rows._asdict()


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
    """out <- A B, where A is a or its transpose, and B is b or its transpose.

    a : (M, K), or (K, M) with transpose_a; b : (K, N), or (N, K) with transpose_b; out : (M, N), overwritten; all
        float32 or float64, C-contiguous; a and b may share memory. Any size may be 0; with K = 0, out becomes zeros
    precision : "float32", "float64", or "bfloat16" for float32 arrays, see the module
    threads : how many work at once, the caller among them; no more than there are rows to share

    Raises TypeError or ValueError naming the argument at fault.
    """
    element, threads = _check_settings(precision, threads)
    dtypes = (element.storage,)
    usual = _are_usual(a, b, out, element.storage)
    if not usual:
        _check.array("a", a, dtypes, ndim=2)
        _check.array("b", b, dtypes, ndim=2)
    transposed = bool(transpose_a), bool(transpose_b)  # asked once: an object may answer otherwise the next time
    (rows, depth), (depth_b, columns) = a.shape[:: -1 if transposed[0] else 1], b.shape[:: -1 if transposed[1] else 1]
    if depth != depth_b:
        raise ValueError(
            f"inner dimensions differ: A is {(rows, depth)} and B is {(depth_b, columns)}, transposed where asked for"
        )
    if not usual or out.shape != (rows, columns):
        _check.array("out", out, dtypes, (rows, columns), writes=True)
        _check_written({"out": out}, {"a": a, "b": b})
    if out.size:
        _multiply(precision, (a, b, transposed, out), threads, usual=usual)


def matmul_int8(a: np.ndarray, b: np.ndarray, out: np.ndarray, *, transpose_a: bool = False, threads: int = 1) -> None:
    """out <- A B in 8-bit integers, where A is a or its transpose.

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
    element = ELEMENTS["int8"]
    element.warn_where_slow()
    _check.array("a", a, (np.dtype(np.uint8),), ndim=2)
    _check.array("b", b, (np.dtype(np.int8),), ndim=2)
    transposed = bool(transpose_a), False
    rows, depth = a.shape[:: -1 if transposed[0] else 1]
    if depth != len(b):
        raise ValueError(
            f"inner dimensions differ: A is {(rows, depth)}, transposed where asked for, and B is {b.shape}"
        )
    _check.array("out", out, (np.dtype(np.int32), np.dtype(np.float32)), (rows, b.shape[1]), writes=True)
    most = element.exact_depth
    if out.dtype == element.accumulator and depth > most:
        raise ValueError(f"K is {depth:,}, allowed for an int32 result is at most {most:,}: give a float32 out")
    _check_written({"out": out}, {"a": a, "b": b})
    if out.size and depth:
        _multiply("int8", (a, b, transposed, out), threads, usual=False)
    else:
        out[...] = 0


def dense_forward(
    x: np.ndarray | Rows,
    weight: np.ndarray,
    bias: np.ndarray,
    activation: str,
    out: np.ndarray,
    *,
    precision: str = "float32",
    threads: int = 1,
) -> None:
    """out <- activation(X W + bias), the forward pass of a fully connected layer.

    x : (N, D) float32 or float64, C-contiguous, or `Rows`
    weight : (D, H), bias : (H,), out : (N, H), overwritten; float32 or float64, C-contiguous
    activation : a key of `fastmlp_kernels.activations.CODES`, such as "tanh", as in `bias_tanh` and its kin
    precision, threads : as in `matmul`

    Raises TypeError or ValueError naming the argument at fault.
    """
    element, threads = _check_settings(precision, threads)
    _check_choice("activation", activation, CODES)
    dtypes = (element.storage,)
    rows, (n, d), arrays = _check_rows(x, dtypes)
    _check.array("weight", weight, dtypes, ndim=2)
    h = weight.shape[1]
    _check.array("weight", weight, dtypes, (d, h))
    _check.array("bias", bias, dtypes, (h,))
    _check.array("out", out, dtypes, (n, h), writes=True)
    _check_written({"out": out}, {**arrays, "weight": weight, "bias": bias})
    if out.size:
        channels = _channels(rows)
        depth = channels * padded(d // channels, element.per_unit)  # each is packed by itself
        flop, raw = 2 * n * d * h, channels if _is_raw(rows, element) else 0
        sizes = _Sizes(precision, depth, h, h, *_share(n, threads, flop), raw=raw)
        chosen = Chosen(CODES[activation], family_of([activation]))
        _run(sizes, flop, _dense_forward, rows, read_only(weight), read_only(bias), chosen, out)


def dense_update(
    x: np.ndarray | Rows,
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

    x : (N, D) float32 or float64, C-contiguous, or `Rows`
    delta : (N, H) float32 or float64: dLoss/dz of this layer, of the mean loss
    weight, velocity : (D, H) float32 or float64, C-contiguous, overwritten
    lr, momentum, weight_decay : as in `momentum_step`; precision, threads : as in `matmul`

    Raises TypeError or ValueError naming the argument at fault.
    """
    element, threads = _check_settings(precision, threads)
    dtypes = (element.storage,)
    rows, (n, d), arrays = _check_rows(x, dtypes)
    _check.array("delta", delta, dtypes, ndim=2)
    h = delta.shape[1]
    _check.array("delta", delta, dtypes, (n, h))
    _check.array("weight", weight, dtypes, (d, h), writes=True)
    _check.array("velocity", velocity, dtypes, (d, h), writes=True)
    _check_written({"weight": weight, "velocity": velocity}, {**arrays, "delta": delta})
    settings = checked_momentum(lr, momentum, weight_decay, weight.dtype)
    if weight.size:
        raw = _channels(rows) if _is_raw(rows, element) else 0  # each channel has a delta scaled for itself
        columns = max(raw, 1) * padded(h, int(NR))
        flop = 2 * n * d * h
        sizes = _Sizes(precision, n, columns, h, *_share(d, threads, flop), transposed_left=True, raw=raw)
        update = Update(weight.reshape(-1), velocity.reshape(1, -1), 0, h, settings)
        _run(sizes, flop, _dense_update, rows, read_only(delta), update)
