"""Small work arrays that cost no allocation: they lie on the stack of the compiled function that asks for one."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from fastmlp_kernels._llvm import I8, I64, intrinsic

# Elements: 32 KiB of float32, 64 KiB of float64; far below any thread's stack, and within a core's caches.
SIZE = 8192


@intrinsic
def _work_array(typingctx: Any, like: Any, size: Any) -> Any:
    kind = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(kind.dtype)
        itemsize = context.get_abi_sizeof(element)
        with builder.goto_entry_block():  # one array a call, also when asked for in a loop
            memory = builder.alloca(ir.ArrayType(element, SIZE))
            memory.align = 64
        data = cgutils.alloca_once_value(builder, builder.bitcast(memory, element.as_pointer()))
        extent = cgutils.alloca_once_value(builder, I64(SIZE))
        with builder.if_then(builder.icmp_signed(">", args[1], I64(SIZE)), likely=False):
            malloc = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I8.as_pointer(), [I64]), "malloc")
            large = builder.call(malloc, [builder.mul(args[1], I64(itemsize))])
            builder.store(builder.bitcast(large, element.as_pointer()), data)
            allocated = cgutils.is_not_null(builder, large)
            builder.store(builder.select(allocated, args[1], I64(0)), extent)
        array = make_array(kind)(context, builder)
        shape, strides = [builder.load(extent)], [I64(itemsize)]
        populate_array(array, data=builder.load(data), shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return kind(like, types.intp), codegen


@intrinsic
def _release(typingctx: Any, work: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, args[0])
        with builder.if_then(builder.icmp_signed(">", array.nitems, I64(SIZE)), likely=False):
            kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer()])
            free = cgutils.get_or_insert_function(builder.module, kind, "free")
            builder.call(free, [builder.bitcast(array.data, I8.as_pointer())])
        return context.get_dummy_value()

    return types.void(work), codegen


def work_array(like: np.ndarray, size: int) -> np.ndarray:
    """Return max(size, SIZE) uninitialised elements, flat, of the dtype of `like`, until the calling function returns.

    More than SIZE elements come from the heap: `release` them. Where memory is out, the array is empty.
    """
    return np.empty(max(size, SIZE), like.dtype)


def release(work: np.ndarray) -> None:
    """Free a work array that came from the heap; any other is left alone."""


if not config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
    work_array, release = _work_array, _release
