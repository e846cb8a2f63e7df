"""Small pieces of LLVM code that the intrinsics share. Vectors are LLVM's own: it splits what the CPU has not."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
# llvmlite's own annotations know neither a value's type nor that a call returns one.
Builder = Any
Value = Any


def intrinsic(function: Callable[..., Any]) -> Any:
    """Declare a numba intrinsic, typed for callers who do not pass its first argument, the typing context."""
    return numba_intrinsic(function)


class _BFloat(ir.Type):
    """The type bfloat, which llvmlite does not have: its name is all that LLVM's parser asks for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash("bfloat")


BF16 = _BFloat()


def vector(element: ir.Type, lanes: int) -> ir.VectorType:
    """Return the type of `lanes` elements."""
    return ir.VectorType(element, lanes)


def splat(builder: Builder, value: Value, lanes: int) -> Value:
    """Return a vector of `lanes` times the value."""
    undefined = ir.Constant(vector(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(vector(I32, lanes), [0] * lanes))


def constant(element: ir.Type, value: float, lanes: int) -> ir.Constant:
    """Return a constant vector of `lanes` times the value."""
    return ir.Constant(vector(element, lanes), [value] * lanes)


def element_pointer(context: Any, builder: Builder, array_type: Any, array: Any, offset: Value) -> Value:
    """Return the address of the element at this flat offset of a C-contiguous array argument."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.gep(data, [offset])


def load(builder: Builder, pointer: Value, kind: ir.Type, align: int) -> Value:
    """Load a value of this type from a pointer of any type."""
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def store(builder: Builder, value: Value, pointer: Value, align: int) -> None:
    """Store a value through a pointer of any type."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = align


def call(builder: Builder, name: str, result: ir.Type, *arguments: Value) -> Value:
    """Call an LLVM intrinsic."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


_SUFFIXES = {F32: "f32", F64: "f64"}


def _kind(x: Value) -> str:
    """Return what LLVM's intrinsics call the type of a float or of a vector of them."""
    is_vector = isinstance(x.type, ir.VectorType)
    return f"v{x.type.count}{_SUFFIXES[x.type.element]}" if is_vector else _SUFFIXES[x.type]


def multiply_add(builder: Builder, x: Value, y: Value, z: Value) -> Value:
    """Return x * y + z of floats or vectors of them, fused where the CPU can: `llvm.fma` is slow code elsewhere."""
    return call(builder, f"llvm.fmuladd.{_kind(x)}", x.type, x, y, z)


def square_root(builder: Builder, x: Value) -> Value:
    """Return the square root of a float or of a vector of them, correctly rounded."""
    return call(builder, f"llvm.sqrt.{_kind(x)}", x.type, x)


class Number:
    """A float in LLVM code, or a vector of them, under Python's operators: a formula in plain Python emits its code.

    Each operation rounds once, whatever the code around it, so that vectors and single floats have the same bits.
    """

    def __init__(self, builder: Builder, value: Value) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: "Number") -> "Number":
        return Number(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: "Number") -> "Number":
        return Number(self.builder, self.builder.fsub(self.value, other.value))

    def __truediv__(self, other: "Number") -> "Number":
        return Number(self.builder, self.builder.fdiv(self.value, other.value))

    def __mul__(self, other: "Number") -> "Number":
        return Number(self.builder, self.builder.fmul(self.value, other.value))

    def __neg__(self) -> "Number":
        return Number(self.builder, self.builder.fneg(self.value))


def fused(x: Any, y: Any, z: Any) -> Any:
    """Return x * y + z of numbers, or of `Number`s: `multiply_add`."""
    if not isinstance(x, Number):
        return x * y + z
    return Number(x.builder, multiply_add(x.builder, x.value, y.value, z.value))


def root(x: Any) -> Any:
    """Return the square root of a number, or of a `Number`."""
    return Number(x.builder, square_root(x.builder, x.value)) if isinstance(x, Number) else np.sqrt(x)


def convert_float(builder: Builder, value: Value, kind: ir.Type) -> Value:
    """Return a float rounded, or widened, to this type of float."""
    if value.type == kind:
        return value
    return builder.fptrunc(value, kind) if kind is F32 else builder.fpext(value, kind)


def multiply_add1(x: float, y: float, z: float) -> float:
    """Return x * y + z of floats, rounded once where the CPU can; written out, LLVM may fuse it in one place only."""
    return x * y + z


@intrinsic
def _multiply_add1(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return multiply_add(builder, *args)

    return z(z, z, z), codegen


if not config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
    multiply_add1 = _multiply_add1
