"""How many operations a second this machine can do at most: multiply-adds on registers alone.

    python -m bench.peak

The loop is LLVM vector code: as many accumulators as the micro-kernel keeps in registers, which do not wait for each
other, and no memory. In bfloat16 it is the CPU's instruction for products of pairs, in int8 that for products of four
bytes or of tiles of them, where there is one. It is measured in the same run as what is compared with it, because clock
rates move with heat and neighbours.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from fastmlp.nn.threads import usable_cores
from fastmlp_kernels._llvm import I8, splat, vector
from fastmlp_kernels._target import TILE
from fastmlp_kernels.bfloat16 import BFLOAT16_IN_HARDWARE
from fastmlp_kernels.gemm.elements import BY_UNIT, ELEMENTS
from fastmlp_kernels.gemm.micro import tile_of
from fastmlp_kernels.gemm.tiles import COLUMNS, ROWS, SIDE, SUMS, begin_tiles, end_tiles, tiles
from fastmlp_kernels.int8 import INT8_IN_HARDWARE

ACCUMULATORS = TILE.mr * TILE.nv  # 16 with AVX-512: 12 reach the peak in float32, but not in bfloat16
LOOPS = 500_000
ONE_AND_ONE = 0x3F803F80  # a pair of bfloat16
FOUR_ONES = 0x01010101  # bytes

# precision -> a unit as the micro-kernel reads it, and its products
UNITS: dict[str, tuple[np.generic, int]] = {
    "float32": (np.float32(0.5), 1),
    "float64": (np.float64(0.5), 1),
    "bfloat16": (np.int32(ONE_AND_ONE), 2),
    "int8": (np.uint32(FOUR_ONES), 4),
}
IN_HARDWARE = {"float32": True, "float64": True, "bfloat16": BFLOAT16_IN_HARDWARE, "int8": INT8_IN_HARDWARE}


@intrinsic
def _multiply_add(typingctx: Any, n: Any, x: Any, y: Any) -> Any:  # noqa: ARG001 - numba's calling form
    """Repeat `n` times for each accumulator: a <- a + x * y. Return one lane of their sum."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        element = BY_UNIT[signature.args[1].name]
        whole, lanes = element.accumulator.kind == "i", tile_of(element).lanes
        sums, kind = vector(context.get_data_type(signature.return_type), lanes), int if whole else float
        x, y = (splat(builder, value, lanes) for value in args[1:])
        accumulators = [  # from different starts: the compiler would merge equal ones
            cgutils.alloca_once_value(builder, ir.Constant(sums, [kind(i)] * lanes)) for i in range(ACCUMULATORS)
        ]
        with cgutils.for_range(builder, args[0]):
            for a in accumulators:
                builder.store(element.multiply_add(builder, builder.load(a), x, y), a)
        total = builder.load(accumulators[0])
        for a in accumulators[1:]:
            total = (builder.add if whole else builder.fadd)(total, builder.load(a))
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return from_dtype(BY_UNIT[x.name].accumulator)(numba.int64, x, y), codegen


@numba.njit(nogil=True)
def _spin(n, x, y):
    return _multiply_add(n, x, y)  # pyright: ignore[reportCallIssue] - numba passes the first argument itself


@intrinsic
def _multiply_tiles(typingctx: Any, n: Any, x: Any) -> Any:  # noqa: ARG001
    """Repeat `n` times for each of the four tiles of sums: C <- C + A B, of units like x, whatever A and B hold."""
    product, _ = BY_UNIT[x.name].tile_products

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:  # noqa: ARG001
        for tile in (*SUMS, *ROWS, *COLUMNS):
            tiles(builder, "tilezero", I8(tile))
        with cgutils.for_range(builder, args[0]):
            for tile in SUMS:
                tiles(builder, product, I8(tile), I8(ROWS[tile // 2]), I8(COLUMNS[tile % 2]))
        return context.get_dummy_value()

    return numba.void(numba.int64, x), codegen


@numba.njit(nogil=True)
def _spin_tiles(n, x):
    begin_tiles()
    _multiply_tiles(n, x)  # pyright: ignore[reportCallIssue]
    end_tiles()


def _loop(precision: str) -> tuple[Callable[[int], object], int]:
    """Return a loop that is given its length, and how many multiply-adds a turn of it makes."""
    unit, products = UNITS[precision]
    if ELEMENTS[precision].in_tiles():
        return lambda n: _spin_tiles(n, unit), len(SUMS) * SIDE * SIDE * products * SIDE
    return lambda n: _spin(n, unit, unit), ACCUMULATORS * tile_of(ELEMENTS[precision]).lanes * products


def precisions() -> list[str]:
    """Return the precisions that the CPU multiplies in: floats, and others where it has instructions for them."""
    return [precision for precision, there in IN_HARDWARE.items() if there]


def measure(threads: int = 1, precision: str = "float32", repeats: int = 60) -> float:
    """Return the peak in GFLOP/s (Gop/s in int8) of this many threads at once: the best of runs of milliseconds.

    precision : one of `precisions()`; KeyError for an unknown one
    """
    spin, products = _loop(precision)
    spin(1)
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(lambda _: spin(LOOPS), range(threads)))
            seconds.append(time.perf_counter() - start)
    return threads * LOOPS * products * 2 / min(seconds) / 1e9


if __name__ == "__main__":
    counts = range(1, usable_cores() + 1)
    print(json.dumps({f"{n} threads, {p}": round(measure(n, p), 1) for p in precisions() for n in counts}))
