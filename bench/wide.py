"""Numbers of LLVM code in a type wider than that of a function's result, with the C library's functions of them.

double is wide for float32, and the 80 bits of x87 for float64, where the C library has them (`HAS_EXTENDED`). A formula
in plain Python over such numbers tells what a function of one element should give; `ulps_of` compiles it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from fastmlp_kernels._llvm import F32, F64, I64, call, intrinsic

HAS_EXTENDED = np.finfo(np.longdouble).nmant == 63


class _Extended(ir.Type):
    """The type x86_fp80, which llvmlite does not have: its name is all that LLVM's parser asks for."""

    def _to_string(self) -> str:
        return "x86_fp80"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Extended)

    def __hash__(self) -> int:
        return hash("x86_fp80")


EXTENDED = _Extended()
# Of a type: the wider one, the bits of its mantissa, its largest and its smallest exponent.
FORMS = {F32: (F64, 23, 127, -126), F64: (EXTENDED, 52, 1023, -1022)}
# How LLVM's intrinsics and the C library name functions of a type.
NAMES = {F64: ("f64", ""), EXTENDED: ("f80", "l")}


class Wide:
    """A number in LLVM code in a wide type, under Python's operators; mpmath's numbers count to 106 bits."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _of(self, other: Any) -> Any:
        """Return the LLVM value of another number in this one's type."""
        if isinstance(other, Wide):
            return other.value
        high = float(other)
        parts = [ir.Constant(F64, part) for part in (high, float(other - high))]
        if self.value.type is F64:
            return parts[0]
        return self.builder.fadd(*(self.builder.fpext(part, self.value.type) for part in parts))

    def _by(self, name: str, *values: Any) -> "Wide":
        return Wide(self.builder, getattr(self.builder, name)(*map(self._of, values)))

    def __add__(self, other: Any) -> "Wide":
        return self._by("fadd", self, other)

    def __sub__(self, other: Any) -> "Wide":
        return self._by("fsub", self, other)

    def __rsub__(self, other: Any) -> "Wide":
        return self._by("fsub", other, self)

    def __mul__(self, other: Any) -> "Wide":
        return self._by("fmul", self, other)

    def __truediv__(self, other: Any) -> "Wide":
        return self._by("fdiv", self, other)

    def __rtruediv__(self, other: Any) -> "Wide":
        return self._by("fdiv", other, self)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Wide":
        return self._by("fneg", self)

    def __abs__(self) -> "Wide":
        kind = self.value.type
        return Wide(self.builder, call(self.builder, f"llvm.fabs.{NAMES[kind][0]}", kind, self.value))

    def below(self, bound: Any, then: Any, other: Any) -> "Wide":
        """Return the second number where this one is below the first, else the third."""
        less = self.builder.fcmp_ordered("<", self.value, self._of(bound))
        return Wide(self.builder, self.builder.select(less, self._of(then), self._of(other)))

    def __getattr__(self, name: str) -> Callable[..., "Wide"]:
        """Return a function of the C library: `x.erfc()`, `x.pow(y)`."""
        if name.startswith("_"):
            raise AttributeError(name)
        kind = self.value.type
        return lambda *others: Wide(
            self.builder, call(self.builder, name + NAMES[kind][1], kind, self.value, *(o.value for o in others))
        )


def _double(builder: Any, x: Wide) -> Any:
    return x.value if x.value.type is F64 else builder.fptrunc(x.value, F64)


def _wide(builder: Any, kind: Any, bits: Any) -> Wide:
    value = builder.bitcast(bits, F64)
    return Wide(builder, value if kind is F64 else builder.fpext(value, kind))


def ulps_of(form: Callable[..., Wide]) -> Any:
    """Return the compiled function (got, x, y): how many steps of its dtype got is from form(x) or form(x, y).

    Between NaNs that is 0, from a NaN to a number infinity; an infinity counts as the number after the largest.
    """
    count = form.__code__.co_argcount

    @intrinsic
    def ulps(typingctx: Any, got: Any, x: Any, y: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            wider, mantissa, highest, lowest = FORMS[args[0].type]
            result, *values = (Wide(builder, builder.fpext(value, wider)) for value in args)
            want = form(*values[:count])
            nans = [builder.fcmp_unordered("uno", one.value, one.value) for one in (result, want)]
            end = Wide(builder, result._of(2.0**highest)) * 2.0
            result, want = (one.below(end, (-end).below(one, one, -end), end) for one in (result, want))
            # a step at `want` is 2**exponent, and 1 / it is made of two factors
            bits = builder.bitcast(_double(builder, abs(want)), I64)
            exponent = builder.sub(builder.lshr(bits, I64(52)), I64(1023))
            for sign, bound in ((">", highest), ("<", lowest)):
                beyond = builder.icmp_signed(sign, exponent, I64(bound))
                exponent = builder.select(beyond, I64(bound), exponent)
            exponent = builder.sub(exponent, I64(mantissa))
            half = builder.ashr(exponent, I64(1))
            steps = abs(result - want)
            for part in (half, builder.sub(exponent, half)):
                steps = steps * _wide(builder, wider, builder.shl(builder.sub(I64(1023), part), I64(52)))
            number = builder.select(builder.or_(*nans), ir.Constant(F64, float("inf")), _double(builder, steps))
            return builder.select(builder.and_(*nans), ir.Constant(F64, 0.0), number)

        return types.float64(got, x, y), codegen

    return ulps
