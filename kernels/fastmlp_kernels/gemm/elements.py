"""The table of element types: storage, packing, arithmetic and accumulator of a product's operands, by precision.

Packed arrays consist of units, each of one or more elements that are neighbours along the inner dimension, the first
one lowest. The dtype of a packed array tells its element: numba compiles each function for the dtypes that it meets,
and where it must be another one, an `overload` asks this table.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp_kernels import bfloat16, int8
from fastmlp_kernels._llvm import BF16, I32, Builder, Value, call, constant, multiply_add, vector
from fastmlp_kernels._target import BFLOAT16_IN_HARDWARE, INT8_IN_HARDWARE, amx_bfloat16, amx_int8

# The largest magnitude of any signed byte, and the largest unsigned byte.
LARGEST, BRIGHTEST = 128, 255


class Element(NamedTuple):
    """An element type: how a product's operands are stored, packed, multiplied and summed.

    storage : dtype of what is packed and of what results, but for images, which are uint8
    unit : dtype of packed arrays; per_unit : elements of the inner dimension in one of theirs
    accumulator : dtype of a sum of products
    multiply_add : emits acc + a * b of vectors of units, in the instruction chosen for this CPU
    in_tiles : whether tile registers do it instead; where there are some, the first call asks the system for them
    tile_products : their instructions, with the right operand's kind of element in B's tiles, and in A's
    exact_depth : the largest inner dimension of which no sum of products can leave the accumulator's range
    raw_images : whether images are multiplied as they are, and the product is normalised
    warn_where_slow : says once where the CPU has no such instruction
    """

    storage: np.dtype
    unit: np.dtype
    per_unit: int
    accumulator: np.dtype
    multiply_add: Callable[[Builder, Value, Value, Value], Value]
    in_tiles: Callable[[], bool] = lambda: False
    tile_products: tuple[str, str] = ("", "")
    exact_depth: int = sys.maxsize
    raw_images: bool = True
    warn_where_slow: Callable[[], None] = lambda: None


def _float_multiply_add(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    return multiply_add(builder, a, b, acc)


def _bfloat16_pairs_in_hardware(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    lanes = acc.type.count
    pairs = vector(BF16, 2 * lanes)
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}"
    return call(builder, name, acc.type, acc, builder.bitcast(a, pairs), builder.bitcast(b, pairs))


def _bfloat16_pairs_in_float32(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    # A bfloat16 is the upper half of a float32: a shift widens the even one, a mask the odd one, without error.
    lanes = acc.type.count
    shift, mask = constant(I32, 16, lanes), constant(I32, 0xFFFF0000, lanes)
    for widen in (lambda x: builder.shl(x, shift), lambda x: builder.and_(x, mask)):
        acc = multiply_add(builder, builder.bitcast(widen(a), acc.type), builder.bitcast(widen(b), acc.type), acc)
    return acc


def _byte_quads_in_hardware(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    return call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * acc.type.count}", acc.type, acc, a, b)


def _byte_quads_in_int32(builder: Builder, acc: Value, a: Value, b: Value) -> Value:
    lanes = acc.type.count
    for shift in (0, 8, 16, 24):
        byte = builder.and_(builder.lshr(a, constant(I32, shift, lanes)), constant(I32, 0xFF, lanes))
        signed = builder.ashr(builder.shl(b, constant(I32, 24 - shift, lanes)), constant(I32, 24, lanes))
        acc = builder.add(acc, builder.mul(byte, signed))
    return acc


_FLOAT32, _FLOAT64, _INT32, _UINT32 = (np.dtype(kind) for kind in (np.float32, np.float64, np.int32, np.uint32))

ELEMENTS = {
    "float32": Element(_FLOAT32, _FLOAT32, 1, _FLOAT32, _float_multiply_add, raw_images=False),
    "float64": Element(_FLOAT64, _FLOAT64, 1, _FLOAT64, _float_multiply_add, raw_images=False),
    "bfloat16": Element(
        storage=_FLOAT32,
        unit=_INT32,
        per_unit=2,
        accumulator=_FLOAT32,
        multiply_add=_bfloat16_pairs_in_hardware if BFLOAT16_IN_HARDWARE else _bfloat16_pairs_in_float32,
        in_tiles=amx_bfloat16,
        tile_products=("tdpbf16ps", "tdpbf16ps"),
        warn_where_slow=bfloat16.warn_where_slow,
    ),
    # unsigned in the left operand, signed in the right one: 255 * 128 * 65,793 < 2^31
    "int8": Element(
        storage=_FLOAT32,
        unit=_UINT32,
        per_unit=4,
        accumulator=_INT32,
        multiply_add=_byte_quads_in_hardware if INT8_IN_HARDWARE else _byte_quads_in_int32,
        in_tiles=amx_int8,
        tile_products=("tdpbusd", "tdpbsud"),
        exact_depth=(2**31 - 1) // (BRIGHTEST * LARGEST),
        warn_where_slow=int8.warn_where_slow,
    ),
}
BY_UNIT = {element.unit.name: element for element in ELEMENTS.values()}


def element_of(packed: Any) -> Element:
    """Return the element type of a packed array, or of numba's type of one, by its dtype."""
    return BY_UNIT[packed.dtype.name]
