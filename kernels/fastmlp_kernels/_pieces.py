"""What elementary functions are made of: polynomials, constants by dtype, and the parts of a float's bits.

Each is an intrinsic of one float32 or float64, and gives a value of its argument's dtype.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp_kernels._jit import element
from fastmlp_kernels._llvm import F32, F64, I32, I64, call, intrinsic, multiply_add

# Bits of the mantissa, and the integer of as many bits as the float.
_FORMS = {F32: (23, I32), F64: (52, I64)}


def _form(value: Any) -> tuple[int, Any]:
    return _FORMS[value.type]


def polynomial(of_float32: Sequence[float], of_float64: Sequence[float] = ()) -> Any:
    """Return the compiled function c0 + c1 x + c2 x^2 + ... of an element.

    With one sequence of coefficients they are those of both dtypes.
    """

    @intrinsic
    def evaluate(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            coefficients = of_float64 if of_float64 and x == types.float64 else of_float32
            first, *others = (ir.Constant(args[0].type, c) for c in coefficients)
            # The first steps are Horner's, whose rounding is felt least; those before need not wait for each other.
            result = _in_pairs(builder, others[HORNER:], args[0]) if len(others) > HORNER else None
            for c in reversed([first, *others[:HORNER]]):
                result = c if result is None else multiply_add(builder, result, args[0], c)
            return result

        return x(x), codegen

    return evaluate


# Steps of a polynomial that are Horner's.
HORNER = 2


def _in_pairs(builder: Any, coefficients: list[Any], x: Any) -> Any:
    """Return c0 + c1 x + c2 x^2 + ..., by pairs, pairs of pairs and so on (Estrin)."""
    while len(coefficients) > 1:
        pairs = [coefficients[i : i + 2] for i in range(0, len(coefficients), 2)]
        coefficients = [multiply_add(builder, pair[1], x, pair[0]) if len(pair) == 2 else pair[0] for pair in pairs]
        x = builder.fmul(x, x)
    return coefficients[0]


def constant(of_float32: float, of_float64: float) -> Any:
    """Return the compiled function that gives one of these constants, by the dtype of its argument."""

    @intrinsic
    def evaluate(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return context.get_constant(x, of_float32 if x == types.float32 else of_float64)

        return x(x), codegen

    return evaluate


# Adding it rounds to an integer and leaves that in the low mantissa bits.
ROUND = constant(1.5 * 2.0**23, 1.5 * 2.0**52)


@intrinsic
def product(typingctx: Any, x: Any, y: Any) -> Any:
    """Return x * y, rounded by itself: never fused with an addition."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*args)

    return x(x, x), codegen


@intrinsic
def fused(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """Return x * y + z, rounded once: where the CPU has no such instruction, by a call of the C library."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, f"llvm.fma.{'f32' if args[0].type is F32 else 'f64'}", args[0].type, *args)

    return x(x, x, x), codegen


@intrinsic
def power_of_two(typingctx: Any, shifted: Any) -> Any:
    """Return 2**n of shifted = ROUND + n, 2**n a normal number: the bits of ROUND are shifted out."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mantissa, integer = _form(args[0])
        exponent = builder.shl(builder.bitcast(args[0], integer), integer(mantissa))
        return builder.bitcast(builder.add(exponent, _bits(args[0].type, 1.0)), args[0].type)

    return shifted(shifted), codegen


@intrinsic
def times_power_of_two(typingctx: Any, x: Any, shifted: Any) -> Any:
    """Return x * 2**n of shifted = ROUND + n, a normal number as x is: n is added to the exponent."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mantissa, integer = _form(args[0])
        bits, n = (builder.bitcast(arg, integer) for arg in args)
        return builder.bitcast(builder.add(bits, builder.shl(n, integer(mantissa))), args[0].type)

    return x(x, shifted), codegen


@intrinsic
def head(typingctx: Any, x: Any) -> Any:
    """Return the upper half of a number's bits, 12 or 26: products of two such are exact."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mantissa, integer = _form(args[0])
        mask = integer(-(1 << (mantissa + 2) // 2))
        return builder.bitcast(builder.and_(builder.bitcast(args[0], integer), mask), args[0].type)

    return x(x), codegen


@intrinsic
def fields(typingctx: Any, x: Any) -> Any:
    """Return (k, m) of a normal x = 2**k m > 0, m from sqrt 1/2 to sqrt 2, both floats."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        mantissa, integer = _form(args[0])
        one, root = _bits(kind, 1.0), _bits(kind, 0.5**0.5)
        raised = builder.add(builder.bitcast(args[0], integer), integer(one.constant - root.constant))
        # an exponent field in the low bits of 2**mantissa is that many more
        field = builder.or_(builder.lshr(raised, integer(mantissa)), _bits(kind, 2.0**mantissa))
        bias = 2.0**mantissa + (one.constant >> mantissa)
        k = builder.fsub(builder.bitcast(field, kind), ir.Constant(kind, bias))
        m = builder.add(builder.and_(raised, integer((1 << mantissa) - 1)), root)
        return context.make_tuple(builder, signature.return_type, (k, builder.bitcast(m, kind)))

    return types.UniTuple(x, 2)(x), codegen


def by_exponent(lowest: int, rows: Sequence[Sequence[float]]) -> Any:
    """Return the compiled function that gives (m, *row) of a float64 2**e m, |m| from 1 to 2, row that of e.

    The rows are those of e = lowest and on; beyond either end stands the last.
    """
    width, last = len(rows[0]), len(rows) - 1
    table = ir.Constant(ir.ArrayType(F64, width * len(rows)), [value for row in rows for value in row])

    @intrinsic
    def evaluate(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            bits = builder.bitcast(args[0], I64)
            field = builder.and_(builder.lshr(bits, I64(52)), I64(0x7FF))
            at = builder.sub(field, I64(1023 + lowest))
            at = builder.select(builder.icmp_signed("<", at, I64(0)), I64(0), at)
            at = builder.select(builder.icmp_signed(">", at, I64(last)), I64(last), at)
            held = cgutils.global_constant(builder.module, "by_exponent", table)
            first = builder.mul(at, I64(width))
            row = [
                builder.load(builder.gep(held, [I64(0), builder.add(first, I64(i))], inbounds=True))
                for i in range(width)
            ]
            m = builder.or_(builder.and_(bits, I64(~(0x7FF << 52))), _bits(F64, 1.0))
            return context.make_tuple(builder, signature.return_type, (builder.bitcast(m, F64), *row))

        return types.UniTuple(x, width + 1)(x), codegen

    return evaluate


@element
def magnitude(x, most):
    """Return |x|, but no more than `most`; a NaN fails the comparison and passes through."""
    a = abs(x)
    return most if a > most else a


@intrinsic
def turned(typingctx: Any, sine: Any, cosine: Any, shifted: Any) -> Any:
    """Return the sine after n quarter turns more, shifted = ROUND + n, of what has this sine and cosine."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        n = builder.bitcast(args[2], I64)
        odd = builder.icmp_signed("!=", builder.and_(n, I64(1)), I64(0))
        sign = builder.shl(builder.and_(n, I64(2)), I64(62))
        value = builder.bitcast(builder.select(odd, args[1], args[0]), I64)
        return builder.bitcast(builder.xor(value, sign), F64)

    return sine(sine, cosine, shifted), codegen


def _bits(kind: Any, value: float) -> Any:
    """Return the bits of a positive constant as an integer one."""
    number = np.float32(value).view(np.int32) if kind is F32 else np.float64(value).view(np.int64)
    return _FORMS[kind][1](int(number))
