"""Views of parts of C-contiguous arrays for compiled code, as cheap as pointers: no bounds checks, no reference counts.

numba's own slices and reshapes normalise and check every bound, which is most of what a small function compiles to.
"""

import functools
from typing import Any

import numpy as np
from numba import config, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.np.arrayobj import make_array, populate_array

from fastmlp_kernels._jit import part
from fastmlp_kernels._llvm import I64, Builder, Value, element_pointer, intrinsic


def _view(context: Any, builder: Builder, signature: Any, args: Any) -> Value:
    """Return a view in numba's form: of the signature's type, from element args[1] of args[0], of shape args[2:]."""
    kind, shape = signature.return_type, list(args[2:])
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides = [I64(size)]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    view = make_array(kind)(context, builder)
    data = element_pointer(context, builder, signature.args[0], *args[:2])
    populate_array(view, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return view._getvalue()


def _check_order(array: Any) -> None:
    if array.layout != "C":
        raise TypingError(
            f"an array of {array.ndim} dimensions is not C-contiguous, and this kernel goes through memory from end to "
            "end: pass np.ascontiguousarray of it, or, for what is written, an array that is so"
        )


def _like(array: Any, ndim: int) -> Any:
    _check_order(array)
    return types.Array(array.dtype, ndim, "C", readonly=not array.mutable, aligned=array.aligned)


@intrinsic
def _vector_at(typingctx: Any, array: Any, at: Any, size: Any) -> Any:
    return _like(array, 1)(array, types.intp, types.intp), _view


@intrinsic
def _matrix_at(typingctx: Any, array: Any, at: Any, rows: Any, columns: Any) -> Any:
    return _like(array, 2)(array, types.intp, types.intp, types.intp), _view


@intrinsic
def _row_at(typingctx: Any, array: Any, i: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, i = args
        shape = cgutils.unpack_tuple(builder, make_array(signature.args[0])(context, builder, array).shape)[1:]
        size = functools.reduce(builder.mul, shape)
        return _view(context, builder, signature, [array, builder.mul(i, size), *shape])

    return _like(array, array.ndim - 1)(array, types.intp), codegen


@intrinsic
def _rows_at(typingctx: Any, array: Any, rows: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, rows = args
        shape = cgutils.unpack_tuple(builder, make_array(signature.args[0])(context, builder, array).shape)[1:]
        first, last = cgutils.unpack_tuple(builder, rows)
        size = functools.reduce(builder.mul, shape, I64(1))
        return _view(context, builder, signature, [array, builder.mul(first, size), builder.sub(last, first), *shape])

    return _like(array, array.ndim)(array, types.UniTuple(types.intp, 2)), codegen


def vector_at(array: np.ndarray, at: int, size: int) -> np.ndarray:
    """Return a view (size,) of an array of any shape and dtype, from array.flat[at] on."""
    return array.reshape(-1)[at : at + size]


def matrix_at(array: np.ndarray, at: int, rows: int, columns: int) -> np.ndarray:
    """Return a view (rows, columns) of an array of any shape and dtype, from array.flat[at] on."""
    return array.reshape(-1)[at : at + rows * columns].reshape(rows, columns)


def row_at(array: np.ndarray, i: int) -> np.ndarray:
    """Return array[i] of an array of two or more dimensions, any dtype."""
    return array[i]


def rows_at(array: np.ndarray, rows: tuple[int, int]) -> np.ndarray:
    """Return array[rows[0] : rows[1]], for rows that all exist; any dtype."""
    return array[rows[0] : rows[1]]


if not config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
    vector_at, matrix_at, row_at, rows_at = _vector_at, _matrix_at, _row_at, _rows_at


def _recast(dtype: Any) -> Any:
    @intrinsic
    def recast(typingctx: Any, array: Any) -> Any:
        _check_order(array)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source = make_array(signature.args[0])(context, builder, args[0])
            view = make_array(signature.return_type)(context, builder)
            shape, size = cgutils.unpack_tuple(builder, source.shape), dtype.bitwidth // 8
            data = builder.bitcast(source.data, view.data.type)
            populate_array(view, data=data, shape=shape, strides=[I64(size)], itemsize=size, meminfo=None)
            return view._getvalue()

        return types.Array(dtype, 1, "C", aligned=array.aligned)(array), codegen

    return recast


@intrinsic
def read_only(typingctx: Any, array: Any) -> Any:
    """Return a read-only view of an array, so that numba compiles a function that reads it once, not for both kinds."""
    _check_order(array)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0]

    return types.Array(array.dtype, array.ndim, "C", readonly=True, aligned=array.aligned)(array), codegen


@intrinsic
def as_writable(typingctx: Any, array: Any) -> Any:
    """Return a view of an array, flat, with the type of one that can be written to, for what only reads it."""
    _check_order(array)
    kind = types.Array(array.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size = make_array(signature.args[0])(context, builder, args[0]).nitems
        return _view(context, builder, signature, [args[0], I64(0), size])

    return kind(array), codegen


@intrinsic
def address_of(typingctx: Any, array: Any, at: Any) -> Any:
    """Return the address of array.flat[at], which need not be there, as a number."""
    _check_order(array)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(element_pointer(context, builder, signature.args[0], *args), I64)

    return types.int64(array, types.intp), codegen


@intrinsic
def no_index(typingctx: Any) -> Any:
    """Return an empty array of row numbers, int64 and read-only."""
    kind = types.Array(types.int64, 1, "C", readonly=True)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = make_array(kind)(context, builder)
        data = view.data.type(None)
        populate_array(view, data=data, shape=[I64(0)], strides=[I64(8)], itemsize=8, meminfo=None)
        return view._getvalue()

    return kind(), codegen


# The same bits of an array (N,) of 4-byte elements as other numbers.
as_int32, as_uint32 = _recast(types.int32), _recast(types.uint32)


@part
def copy(x: np.ndarray, out: np.ndarray) -> None:
    """Copy an array into another one of its shape: numba's own assignment explains at length where they differ."""
    source, target = vector_at(x, 0, x.size), vector_at(out, 0, x.size)
    for i in range(source.size):
        target[i] = source[i]


@part
def fill(array: np.ndarray, value: float) -> None:
    """Set all elements of an array of any shape to one value."""
    flat = vector_at(array, 0, array.size)
    for i in range(flat.size):
        flat[i] = value
