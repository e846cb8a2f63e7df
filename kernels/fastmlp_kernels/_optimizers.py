"""The optimisers of compiled code: of each the settings, the number of its slots of state, and the formula of a step.

A new one is a class here, one in `fastmlp.nn.optimizer`, and its plain form in `fastmlp.reference`. The type of the
settings selects the optimiser in compiled code. The formula is plain Python over numbers. Compiled, these are
`_llvm.Number`s: single floats (`step1`), or the vectors in which a product leaves the registers (`gemm.micro`).

What the formula takes may depend on the number of the step: `settings_of_step` gives it, and its type has the formula.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import overload

from fastmlp_kernels._jit import PART, body_of
from fastmlp_kernels._llvm import Builder, Number, Value, convert_float, element_pointer, fused, intrinsic, root, splat

# The settings of an optimiser, such as `Momentum`; or what they are in one step, which its formula takes.
Settings = Any


class Momentum(NamedTuple):
    """The settings of a step of stochastic gradient descent with momentum; its state is the velocity."""

    lr: float
    momentum: float
    weight_decay: float

    SLOTS = 1

    def step(self, w: Any, state: tuple[Any, ...], g: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return (w, state) after v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v.

        Both additions within v are fused: of a sum of two products the compiler would choose which one to round first,
        here so and there so.
        """
        (v,) = state
        v = fused(-self.lr, fused(self.weight_decay, w, g), self.momentum * v)
        return w + v, (v,)


class Nesterov(NamedTuple):
    """The settings of a step of stochastic gradient descent with Nesterov's momentum; its state is the velocity."""

    lr: float
    momentum: float
    weight_decay: float

    SLOTS = 1

    def step(self, w: Any, state: tuple[Any, ...], g: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return (w, state) after v <- momentum * v - lr * g', then w <- w + momentum * v - lr * g'.

        g' = g + weight_decay * w: a step of `Momentum`, and then already the momentum's part of the next one.
        """
        (v,) = state
        g = fused(self.weight_decay, w, g)
        v = fused(-self.lr, g, self.momentum * v)
        return fused(-self.lr, g, fused(self.momentum, v, w)), (v,)


class Adam(NamedTuple):
    """The settings of Adam (D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015), and of AdamW.

    decoupled : whether weight_decay shrinks the weights by lr * weight_decay, instead of adding weight_decay * w to the
        gradient: AdamW (I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019)
    eps_hat : whether eps is the paper's epsilon hat, which is added to the root of v before its bias is corrected
    """

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decoupled: bool
    eps_hat: bool


class AdamStep(NamedTuple):
    """What a step of `Adam` takes; its state is m and v, the running means of the gradient and of its square.

    rate, eps : with the corrections of both means' bias; new1, new2 : 1 - beta1 and 1 - beta2
    coupled : 1 where the decay goes into the gradient, else 0; shrink : lr where it shrinks the weights, else 0
    """

    rate: float
    new1: float
    new2: float
    eps: float
    weight_decay: float
    coupled: float
    shrink: float

    SLOTS = 2

    def step(self, w: Any, state: tuple[Any, ...], g: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return (w, state) after m <- m + new1 (g' - m), v <- v + new2 (g' g' - v), w <- w' - rate m / (v^0.5 + eps).

        g' = g + coupled weight_decay w; w' = w - shrink weight_decay w. In this form of the means their weights have
        the sum 1 also where float32 rounds beta, and v never falls below 0: each operation rounds to its own side of 0.
        """
        m, v = state
        g = fused(self.coupled * self.weight_decay, w, g)
        m = fused(self.new1, g - m, m)
        v = fused(self.new2, fused(g, g, -v), v)
        w = fused(-(self.shrink * self.weight_decay), w, w)
        return fused(-self.rate, m / (root(v) + self.eps), w), (m, v)


def _as_they_are(settings: Settings, step: int) -> Settings:
    return settings


def _adam_of_step(settings: Adam, step: int) -> AdamStep:
    lr, beta1, beta2, eps, weight_decay, decoupled, eps_hat = settings
    root2 = math.sqrt(1.0 - math.pow(beta2, float(step)))
    rate = lr * root2 / (1.0 - math.pow(beta1, float(step)))
    coupled, shrink = (0.0, lr) if decoupled else (1.0, 0.0)
    own_eps = eps if eps_hat else eps * root2  # of sqrt(v / (1 - beta2**step)) + eps
    return AdamStep(rate, 1.0 - beta1, 1.0 - beta2, own_eps, weight_decay, coupled, shrink)


_OF_STEP: dict[type, Callable[[Any, int], Any]] = {
    Momentum: _as_they_are, Nesterov: _as_they_are, Adam: _adam_of_step
}  # fmt: skip


def settings_of_step(settings: Settings, step: int) -> Settings:
    """Return what the formula takes in a step, counted from 1, as its float64 settings make it; weight_decay stays."""
    return _OF_STEP[type(settings)](settings, step)


@overload(settings_of_step, jit_options=PART)
def _overload_settings_of_step(settings, step):
    return body_of(_OF_STEP[settings.instance_class])


class Update(NamedTuple):
    """The weights (D, H) of a layer and the optimiser's step that updates them.

    parameters : (P,) of the network, which hold the weights row by row; state : (slots, P); both float32 or float64
    first : index of the first weight; columns : H; settings : of the optimiser in this step, such as
        `Momentum`
    """

    parameters: np.ndarray
    state: np.ndarray
    first: int
    columns: int
    settings: Settings


def settings_numbers(builder: Builder, kind: Any, settings: Value, element: ir.Type, lanes: int = 0) -> Any:
    """Return the settings as `Number`s: floats of the type `element`, or vectors of `lanes` of them."""
    values = [convert_float(builder, value, element) for value in cgutils.unpack_tuple(builder, settings)]
    return kind.instance_class(*(Number(builder, splat(builder, x, lanes) if lanes else x) for x in values))


def emit_step(settings: Any, weight: Value, state: list[Value], gradient: Value) -> tuple[Value, list[Value]]:
    """Emit a step of floats, or of vectors of floats; return the new weight and its state."""
    builder = settings[0].builder
    w, *slots, g = (Number(builder, value) for value in (weight, *state, gradient))
    w, new = settings.step(w, tuple(slots), g)
    return w.value, [number.value for number in new]


def slot_pointers(context: Any, builder: Builder, kind: Any, state: Value, slots: int, at: Value) -> list[Value]:
    """Return the address of the element `at` in each of the first `slots` rows of a state (slots, P)."""
    array = cgutils.create_struct_proxy(kind)(context, builder, value=state)
    size = cgutils.unpack_tuple(builder, array.shape)[1]
    first = element_pointer(context, builder, kind, state, at)
    pointers = [first]
    for _ in range(1, slots):
        pointers.append(builder.gep(pointers[-1], [size]))
    return pointers


def step1(parameters: np.ndarray, state: np.ndarray, at: int, g: Any, settings: Any) -> None:
    """In place: element `at` of parameters (P,) and its state (slots, P), floats, take a step with its gradient g."""
    own = settings._make(map(parameters.dtype.type, settings))
    parameters[at], state[:, at] = own.step(parameters[at], tuple(state[:, at]), g)


@intrinsic
def _step1(typingctx: Any, parameters: Any, state: Any, at: Any, g: Any, settings: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (array, slots, _, _, kind), (parameters, state, at, g, settings) = signature.args, args
        pointer = element_pointer(context, builder, array, parameters, at)
        states = slot_pointers(context, builder, slots, state, kind.instance_class.SLOTS, at)
        numbers = settings_numbers(builder, kind, settings, pointer.type.pointee)
        w, new = emit_step(numbers, builder.load(pointer), [builder.load(p) for p in states], g)
        for value, p in zip((*new, w), (*states, pointer), strict=True):
            builder.store(value, p)
        return context.get_dummy_value()

    return types.void(parameters, state, types.intp, parameters.dtype, settings), codegen


def with_decay(settings: Any, weight_decay: float) -> Any:
    """Return the settings with another weight_decay."""
    return settings._replace(weight_decay=weight_decay)


@intrinsic
def _with_decay(typingctx: Any, settings: Any, weight_decay: Any) -> Any:
    at = settings.fields.index("weight_decay")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.insert_value(*args, at)

    return settings(settings, settings.types[at]), codegen


if not config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - numba sets it by name
    step1, with_decay = _step1, _with_decay
