"""The table of activations: all that the package must know of each, by name.

It loads neither numpy nor numba, as a command's `--help` reads its keys; functions of an element are in the kernels'
table of the same names, `fastmlp_kernels._activation_table`, which loads when an activation is first used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastmlp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataclass(frozen=True)
class Activation:
    """What an activation is called elsewhere, and how a network is to treat it.

    name : key of ACTIVATIONS, and of the kernels' table
    torch : returns the module, of `torch.nn`
    onnx : adds the operator to a graph (`fastmlp.models.onnx.Graph`) and returns its output's name, of (graph, x)
    sklearn : MLPClassifier's name of it; None where that has no such activation
    init : the initialiser that "auto" stands for in layers below it, a key of `fastmlp.nn.initializers.INITIALIZERS`
    as_bytes : whether an int8 network may hand its outputs on as unsigned bytes, as none is negative
    kinks : inputs at which its first or second derivative jumps, across which no difference tells the first
    """

    name: str
    torch: Callable[[Any], Any]
    onnx: Callable[[Any, str], str]
    sklearn: str | None = None
    init: str = "lecun"
    as_bytes: bool = False
    kinks: tuple[float, ...] = ()

    @cached_property
    def code(self) -> int:
        """The number that compiled code knows it by."""
        from fastmlp_kernels._activation_table import CODES

        return CODES[self.name]

    @cached_property
    def keeps_input(self) -> bool:
        """Whether the way back needs the activation's input; else it takes the output."""
        from fastmlp_kernels._activation_table import ACTIVATIONS

        return ACTIVATIONS[self.name].keeps_input

    def forward(self, z: np.ndarray, bias: np.ndarray, kept: np.ndarray | None = None) -> None:
        """In place: z (N, H) <- act(z + bias).

        kept : (N, H) <- z + bias, where it keeps its input; may be None, where there will be no way back
        """
        self._passes[0](z, bias, z if kept is None else kept)

    def backward(self, delta: np.ndarray, kept: np.ndarray, dbias: np.ndarray) -> None:
        """In place: delta (N, H), the gradient by the output, becomes that by z + bias; dbias (H,) <- its column sums.

        kept : (N, H) z + bias where it keeps its input, else its output
        """
        self._passes[1](delta, kept, dbias)

    @cached_property
    def _passes(self) -> tuple[Callable[..., None], Callable[..., None]]:
        from fastmlp_kernels.activations import passes_of

        return passes_of(self.name)

    def __reduce__(self) -> tuple[Callable[[str], Activation], tuple[str]]:
        return activation_named, (self.name,)  # a copy is the table's own


def _leaky_relu(graph: Any, x: str) -> str:
    # ONNX's own has its slope in float32
    return graph.node("Max", x, graph.node("Mul", x, graph.constant("slope", 0.01)))


def _silu(graph: Any, x: str) -> str:
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def _gelu(graph: Any, x: str) -> str:
    half, one = graph.constant("gelu_half", 0.5), graph.constant("gelu_one", 1)
    if graph.dtype != "float64":
        erf = graph.node("Erf", graph.node("Mul", x, graph.constant("gelu_root", math.sqrt(0.5))))
        return graph.node("Mul", graph.node("Mul", x, half), graph.node("Add", erf, one))
    from fastmlp_kernels._rectifiers import K64, TAIL  # onnxruntime has no Erf of float64, so the kernels' own form

    k, magnitude, power = graph.constant("gelu_k", K64), graph.node("Abs", x), graph.constant("gelu_power", TAIL[-1])
    u = graph.node("Div", k, graph.node("Add", k, magnitude))
    t = graph.node("Sub", graph.node("Add", u, u), one)
    for i, coefficient in reversed(list(enumerate(TAIL[:-1]))):
        power = graph.node("Add", graph.node("Mul", power, t), graph.constant(f"gelu_{i}", coefficient))
    exponent = graph.node("Neg", graph.node("Mul", half, graph.node("Mul", magnitude, magnitude)))
    tail = graph.node("Mul", graph.node("Mul", u, power), graph.node("Exp", exponent))
    return graph.node("Sub", graph.node("Relu", x), graph.node("Mul", magnitude, tail))


# `init`: weights of variance 1 / (fan_in E[f(z)^2]), z normal, hand on the outputs' size (He et al., Delving deep into
# rectifiers, 2015, section 2.2). E[f(z)^2] is 0.5 for ReLU and leaky ReLU, 0.36 for SiLU, 0.43 for GELU, to which the
# 2 / fan_in of "he" is nearest; 0.92 for softplus, to which 1 / fan_in is, "lecun". ELU, with 0.64, is between; its
# authors take "he".
_TABLE = (
    Activation("tanh", lambda nn: nn.Tanh(), lambda graph, x: graph.node("Tanh", x), "tanh"),
    Activation("sigmoid", lambda nn: nn.Sigmoid(), lambda graph, x: graph.node("Sigmoid", x), "logistic"),
    Activation(
        "relu",
        lambda nn: nn.ReLU(),
        lambda graph, x: graph.node("Relu", x),
        "relu",
        init="he",
        as_bytes=True,
        kinks=(0.0,),
    ),
    Activation("identity", lambda nn: nn.Identity(), lambda graph, x: x, "identity"),  # noqa: ARG005
    Activation(
        "leaky_relu",
        lambda nn: nn.LeakyReLU(0.01),
        _leaky_relu,
        init="he",
        kinks=(0.0,),
    ),
    Activation("elu", lambda nn: nn.ELU(), lambda graph, x: graph.node("Elu", x, alpha=1.0), init="he", kinks=(0.0,)),
    Activation("softplus", lambda nn: nn.Softplus(), lambda graph, x: graph.node("Softplus", x)),
    Activation("silu", lambda nn: nn.SiLU(), _silu, init="he"),
    Activation("gelu", lambda nn: nn.GELU(), _gelu, init="he"),
)
ACTIVATIONS = {activation.name: activation for activation in _TABLE}
# What else an activation may be called by who picks it; all that is kept or written has the name of the table.
ALIASES = {"logistic": "sigmoid"}


def hidden_activations(activation: str | Sequence[str], layers: int) -> list[str]:
    """Return the activation of each of so many hidden layers, given one for all or one each; ConfigError otherwise."""
    if isinstance(activation, str) or not isinstance(activation, Sequence):
        return [activation_named(activation).name] * layers  # checked also where there is no hidden layer
    if len(activation) != layers:
        raise ConfigError(
            f"activation is {list(activation)!r}, {len(activation)} for {layers} hidden layers: give one for all, or "
            "one a hidden layer"
        )
    return [activation_named(name).name for name in activation]


def shortest(activation: str | Sequence[str], layers: int) -> str | tuple[str, ...]:
    """Return `hidden_activations` in the form in which they are kept: one name for all, where they are alike."""
    names = hidden_activations(activation, layers)
    if isinstance(activation, str):
        return own_name(activation)
    return names[0] if len(set(names)) == 1 else tuple(names)


def own_name(name: Any) -> Any:
    """Return the table's name for an alias, anything else as it is."""
    return ALIASES.get(name, name) if isinstance(name, str) else name


def activation_named(name: str) -> Activation:
    """Look an activation up by its name or an alias; an unknown one raises ConfigError with the allowed ones."""
    name = own_name(name)
    if not (isinstance(name, str) and name in ACTIVATIONS):
        raise ConfigError(f"unknown activation {name!r}, allowed: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
