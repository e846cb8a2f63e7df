"""What elementary functions are made of: polynomials, constants by dtype, and the parts of a float's bits.

Each is an intrinsic of one float32 or float64, and gives a value of its argument's dtype.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastmlp_kernels import _coefficients as of
from fastmlp_kernels._jit import element
from fastmlp_kernels._llvm import F32, F64, I8, I32, I64, call, intrinsic, multiply_add
from fastmlp_kernels._target import scales

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
    """Return x * y, rounded by itself: not fused with an addition, but on arm64 with the only one that uses it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # numba gives `contract` to what has no flag; this one is of quotients and says nothing of products
        return builder.fmul(*args, flags=["arcp"])

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


# What n of 2**n is a normal number with a reserve, and what makes it one: exponents, and the factors back. Others are
# made one less, so that 2**n is a number wherever x * 2**n is one.
_NORMAL, _AHEAD, _BEHIND = constant(120.0, 1000.0), constant(64.0, 128.0), constant(2.0**-64, 2.0**-128)


@element
def _scaled_in_two(x, shifted):
    """Return x * 2**n, rounded once, of shifted = ROUND + n."""
    low = shifted < ROUND(x) - _NORMAL(x)
    large = _times_power_of_two(x, shifted + (_AHEAD(x) if low else type(x)(-1)))
    return large * (x * type(x)(0) + (_BEHIND(x) if low else type(x)(2)))  # in which a NaN stays one


@intrinsic
def _times_power_of_two(typingctx: Any, x: Any, shifted: Any) -> Any:
    """Return x * 2**n of shifted = ROUND + n, a normal number as x is: n is added to the exponent."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mantissa, integer = _form(args[0])
        bits, n = (builder.bitcast(arg, integer) for arg in args)
        return builder.bitcast(builder.add(bits, builder.shl(n, integer(mantissa))), args[0].type)

    return x(x, shifted), codegen


@intrinsic
def _scaled_at_once(typingctx: Any, x: Any, shifted: Any) -> Any:
    """Return x * 2**n, rounded once, of shifted = ROUND + n."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        mantissa, integer = _form(args[0])
        n = builder.sub(builder.bitcast(args[1], integer), _bits(kind, 1.5 * 2.0**mantissa))
        n = builder.trunc(n, I32) if kind is F64 else n
        return call(builder, f"llvm.ldexp.{'f32' if kind is F32 else 'f64'}.i32", kind, args[0], n)

    return x(x, shifted), codegen


scaled = _scaled_at_once if scales() else _scaled_in_two


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
        bits, one, root = builder.bitcast(args[0], integer), _bits(kind, 1.0), _bits(kind, 0.5**0.5)
        if kind is F32:  # integers of 32 bits are converted in vectors by every CPU
            above = builder.sub(bits, root)
            k = builder.sitofp(builder.ashr(above, integer(mantissa)), kind)
            m = builder.sub(bits, builder.and_(above, integer(-1 << mantissa)))
        else:
            raised = builder.add(bits, integer(one.constant - root.constant))
            # an exponent field in the low bits of 2**mantissa is that many more
            field = builder.or_(builder.lshr(raised, integer(mantissa)), _bits(kind, 2.0**mantissa))
            bias = 2.0**mantissa + (one.constant >> mantissa)
            k = builder.fsub(builder.bitcast(field, kind), ir.Constant(kind, bias))
            m = builder.add(builder.and_(raised, integer((1 << mantissa) - 1)), root)
        return context.make_tuple(builder, signature.return_type, (k, builder.bitcast(m, kind)))

    return types.UniTuple(x, 2)(x), codegen


def _two_over_pi() -> Any:
    """Return the bits of 2 / pi from 2**100 to 2**-1155 as bytes, the lowest first."""
    value = of.TWO_OVER_PI >> (of.TWO_OVER_PI_BITS - 1155)
    return ir.Constant(ir.ArrayType(I8, 157), bytearray(value.to_bytes(157, "little")))


@intrinsic
def factors_by_exponent(typingctx: Any, x: Any) -> Any:
    """Return (m, c1, c2, c3, c4) of a float64: |x| 2 / pi is m (c1 + c2 + c3 + c4) less multiples of 4.

    m is from 2 to 2**9. c1 is a multiple of 2 below 2**53, c2 one of 2**-51 below 2, c3 one of 2**-103 below 2**-51, c4
    one of 2**-139. Smaller x than 2**-47 count as one of 2**-47 to 2**-39 with their mantissa.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], I64)
        # Exponents are taken by eights, so that bits are read from a byte on; the rest of the exponent stays in m.
        eights = builder.lshr(builder.and_(bits, I64((1 << 63) - 1)), I64(55))
        at = builder.sub(I64(255), eights)
        at = builder.select(builder.icmp_unsigned("<", at, I64(133)), at, I64(133))
        first = builder.gep(cgutils.global_constant(builder.module, "two_over_pi", _two_over_pi()), [I64(0), at])
        low, middle, high = (
            builder.load(builder.bitcast(builder.gep(first, [I64(offset)]), I64.as_pointer()), align=1)
            for offset in (0, 8, 16)
        )
        # from a word's bits the mantissas of numbers with that exponent
        parts = [
            (builder.lshr(high, I64(12)), 53),
            (call(builder, "llvm.fshl.i64", I64, high, middle, I64(40)), 1),
            (call(builder, "llvm.fshl.i64", I64, middle, low, I64(28)), -51),
            (builder.and_(low, I64((1 << 36) - 1)), -87),
        ]
        row = []
        for mantissa, exponent in parts:
            one = _bits(F64, 2.0**exponent)
            number = builder.or_(builder.and_(mantissa, I64((1 << 52) - 1)), one)
            row.append(builder.fsub(builder.bitcast(number, F64), ir.Constant(F64, 2.0**exponent)))
        m = builder.or_(builder.and_(bits, I64((1 << 55) - 1)), _bits(F64, 2.0))
        return context.make_tuple(builder, signature.return_type, (builder.bitcast(m, F64), *row))

    return types.UniTuple(x, 5)(x), codegen


@element
def magnitude(x, most):
    """Return |x|, but no more than `most`; a NaN fails the comparison and passes through."""
    a = abs(x)
    return most if a > most else a


@intrinsic
def negated_if_odd(typingctx: Any, x: Any, shifted: Any) -> Any:
    """Return -x where n is odd, else x, shifted = ROUND + n."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits, n = (builder.bitcast(arg, I64) for arg in args)
        return builder.bitcast(builder.xor(bits, builder.shl(n, I64(63))), F64)

    return x(x, shifted), codegen


@intrinsic
def turned(typingctx: Any, sine: Any, cosine: Any, shifted: Any, like: Any) -> Any:
    """Return the sine after n quarter turns more, shifted = ROUND + n, negated if `like` is negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        n, of_like = (builder.bitcast(arg, I64) for arg in args[2:])
        odd = builder.icmp_signed("!=", builder.and_(n, I64(1)), I64(0))
        value = builder.bitcast(builder.select(odd, args[1], args[0]), I64)
        sign = builder.and_(builder.xor(builder.shl(n, I64(62)), of_like), I64(-(1 << 63)))
        return builder.bitcast(builder.xor(value, sign), F64)

    return sine(sine, cosine, shifted, like), codegen


def _bits(kind: Any, value: float) -> Any:
    """Return the bits of a positive constant as an integer one."""
    number = np.float32(value).view(np.int32) if kind is F32 else np.float64(value).view(np.int64)
    return _FORMS[kind][1](int(number))
