"""The table of losses: what a network learns to lower, with what it says of its outputs.

It loads neither numpy nor numba; kernels are named here, and load when a loss is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Loss:
    """A loss of a batch's outputs z = h W + b (N, K) against its targets, and all that follows from the choice of it.

    name : key of LOSSES
    targets : dtype of the targets (N,), here class numbers from 0 to below K
    outputs : how many outputs K a network has, of (the number of classes)
    score : what is counted beside the loss, a fraction of the rows
    kernel : value and gradient in one pass, of (z without its bias, bias, targets, dbias, weights); evaluation : the
        value alone, of (z without its bias, bias, targets, weights); both names in `fastmlp_kernels.jit`, and both
        return (mean loss, sum of the score)
    rows : the name of the same of a block of a batch's rows, for the compiled run, in `fastmlp_kernels.loss`
    output, log_output : what the network says of a row, and its logarithm, of (z, out); names in `fastmlp_kernels.jit`
    onnx : adds the output function to a graph (`fastmlp.models.onnx.Graph`), of (graph, z, name of the output)
    sklearn : the output function's name there, `out_activation_`; torch : the loss in `torch.nn.functional`
    """

    name: str
    targets: str
    outputs: Callable[[int], int]
    score: str
    kernel: str
    evaluation: str
    rows: str
    output: str
    log_output: str
    onnx: Callable[[Any, str, str], None]
    sklearn: str
    torch: str

    by_weight: bool = False

    of_classes = True

    @cached_property
    def criterion(self) -> Any:
        from fastmlp_kernels._loss_table import Criterion

        return Criterion(0)

    def spread_of(self, targets, weights):
        import math

        return (math.log(20), 0.0)

    def score_of(self, loss, correct, spread):
        return correct

    @cached_property
    def of_batch(self) -> Callable[..., tuple[float, int]]:
        """The kernel that turns a batch's outputs into the gradient by them."""
        return _jit(self.kernel)

    @cached_property
    def of_outputs(self) -> Callable[..., tuple[float, int]]:
        """The kernel that takes the loss alone, and writes nothing."""
        return _jit(self.evaluation)

    @cached_property
    def of_rows(self) -> Callable[..., tuple[float, int]]:
        """The part that the compiled run calls for a block of rows."""
        from fastmlp_kernels import loss

        return getattr(loss, self.rows)

    @cached_property
    def output_kernel(self) -> Callable[..., None]:
        """The kernel of the output function."""
        return _jit(self.output)

    @cached_property
    def log_output_kernel(self) -> Callable[..., None]:
        """The kernel of its logarithm."""
        return _jit(self.log_output)


def _jit(name: str) -> Callable[..., Any]:
    from fastmlp_kernels import jit

    return getattr(jit, name)


def _softmax_node(graph: Any, z: str, out: str) -> None:
    graph.node("Softmax", z, named=out, axis=-1)


CROSS_ENTROPY = Loss(
    name="cross-entropy",
    targets="int64",
    outputs=lambda classes: classes,
    score="accuracy",
    kernel="softmax_cross_entropy",
    evaluation="softmax_cross_entropy_eval",
    rows="cross_entropy_of_rows",
    output="softmax",
    log_output="log_softmax",
    onnx=_softmax_node,
    sklearn="softmax",
    torch="cross_entropy",
)
LOSSES = {loss.name: loss for loss in (CROSS_ENTROPY,)}


def loss_named(name):
    return LOSSES[name] if isinstance(name, str) else name
