"""How many float32 operations a second this machine can do at most: fused multiply-adds on registers alone.

    python -m bench.peak

The loop is LLVM vector code: twelve accumulators that do not wait for each other, and no memory. It is measured in the
same run as what is compared with it, because clock rates move with heat and neighbours.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.threads import usable_cores

ACCUMULATORS = 12  # two units with a latency of four cycles need eight; AVX2 has 16 registers
LANES = 16 if llvm.get_host_cpu_features().get("avx512f") else 8
LOOPS = 500_000


@intrinsic
def _multiply_add(typingctx: Any, n: Any, factor: Any, term: Any) -> Any:  # noqa: ARG001 - numba's calling form
    """Repeat `n` times for each accumulator: a <- a * factor + term. Return one lane of their sum."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:  # noqa: ARG001
        vector = ir.VectorType(ir.FloatType(), LANES)
        lanes = ir.VectorType(ir.IntType(32), LANES)
        undefined, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        name = f"llvm.fmuladd.v{LANES}f32"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        factors, terms = (
            builder.shuffle_vector(
                builder.insert_element(undefined, x, first), undefined, ir.Constant(lanes, [0] * LANES)
            )
            for x in args[1:]
        )
        accumulators = [  # from different starts: the compiler would merge equal ones
            cgutils.alloca_once_value(builder, ir.Constant(vector, [float(i)] * LANES)) for i in range(ACCUMULATORS)
        ]
        with cgutils.for_range(builder, args[0]):
            for a in accumulators:
                builder.store(builder.call(fma, (builder.load(a), factors, terms)), a)
        total = builder.load(accumulators[0])
        for a in accumulators[1:]:
            total = builder.fadd(total, builder.load(a))
        return builder.extract_element(total, first)

    return numba.float32(numba.int64, numba.float32, numba.float32), codegen


@numba.njit(nogil=True)
def _spin(n, factor, term):
    return _multiply_add(n, factor, term)  # pyright: ignore[reportCallIssue] - numba passes the first argument itself


def measure(threads: int = 1, repeats: int = 15) -> float:
    """Return the peak in GFLOP/s of this many threads at once: the best of some runs of a few milliseconds."""
    arguments = LOOPS, numba.float32(0.5), numba.float32(1.0)
    _spin(*arguments)
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(lambda _: _spin(*arguments), range(threads)))
            seconds.append(time.perf_counter() - start)
    return threads * LOOPS * ACCUMULATORS * LANES * 2 / min(seconds) / 1e9


if __name__ == "__main__":
    print(json.dumps({f"{n} threads": round(measure(n), 1) for n in range(1, usable_cores() + 1)}))
