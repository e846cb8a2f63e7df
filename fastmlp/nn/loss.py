"""The table of losses: what a network learns to lower, with what it says of its outputs.

It loads neither numpy nor numba; kernels are named here, and load when a loss is first used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import ABOVE_0, FROM_0_BELOW_1, check_name, is_real, shown

if TYPE_CHECKING:
    import numpy as np

# What a user may set, with what each is unless it is set.
SETTINGS = {"smoothing": 0.0, "delta": 1.0, "clip": 0.0, "by_weight": False}
# The kinds of targets that are numbers, with the least and the largest, and in words.
RANGES = {
    "labels": (0.0, 1.0, "a number from 0 to 1"),
    "numbers": (-math.inf, math.inf, "a finite number"),
    "counts": (0.0, math.inf, "a finite number, 0 or more"),
}


@dataclass(frozen=True)
class Loss:
    """A loss of a batch's outputs z = h W + b (N, K) against its targets, and all that follows from the choice of it.

    A row's loss is one number, or the sum over its outputs; a batch's is the mean over its rows.

    name : key of LOSSES, and of the kernels' table where it is a loss of each output by itself
    targets : "classes", (N,) int64 from 0 to below K, or a kind of RANGES: (N, K) numbers of the network's dtype
    score : what is told beside the loss. "accuracy": the fraction of the rows of which the largest output is the
        label's, or all outputs are on the side of their targets. "R2" and "D2": 1 for outputs that are the targets, 0
        for those of the best constant answer, in between by their loss
    output, log_output : what the network says of a row, and its logarithm, of (z, out); names in `fastmlp_kernels.jit`,
        or None for z itself, and where no logarithm makes sense
    onnx : adds the output function to a graph (`fastmlp.models.onnx.Graph`), of (graph, z, name of the output)
    sklearn : the output function's name there, `out_activation_`; torch : the loss in `torch.nn.functional`
    settings : which of these it has
    smoothing : share of each target that is spread over all answers
    delta : error beyond which Huber's loss counts no more by its square
    clip : bound of the probabilities that are reported as loss, [clip, 1 - clip]: scikit-learn's are
    by_weight : whether a batch's loss is divided by the sum of its weights; else, or where that is 0, by its rows
    """

    name: str
    targets: str
    score: str
    output: str | None
    log_output: str | None
    onnx: Callable[[Any, str, str], None]
    sklearn: str
    torch: str
    settings: tuple[str, ...] = ("by_weight",)
    smoothing: float = 0.0
    delta: float = 1.0
    clip: float = 0.0
    by_weight: bool = False

    def __post_init__(self) -> None:
        for name, usual in SETTINGS.items():
            if getattr(self, name) != usual and name not in self.settings:
                raise ConfigError(f"loss {self.name} has no {name}, it has: {', '.join(self.settings)}")
        FROM_0_BELOW_1.check("smoothing", self.smoothing)
        ABOVE_0.check("delta", self.delta, float32=True)
        if not (is_real(self.clip) and 0 <= self.clip < 0.5):
            raise ConfigError(f"clip is {shown(self.clip)}, allowed is a number from 0 up to, not including, 0.5")
        if not isinstance(self.by_weight, bool):
            raise ConfigError(f"by_weight is {self.by_weight!r}, allowed is True or False")

    @property
    def changed(self) -> dict[str, Any]:
        """Its settings that are not as usual, by name."""
        return {name: value for name, usual in SETTINGS.items() if (value := getattr(self, name)) != usual}

    @property
    def of_classes(self) -> bool:
        """Whether the targets are class numbers (N,); else they are numbers (N, K)."""
        return self.targets == "classes"

    @property
    def of_probabilities(self) -> bool:
        """Whether the outputs are probabilities, of classes or of labels."""
        return self.of_classes or self.targets == "labels"

    @property
    def kinks(self) -> tuple[float, ...]:
        """Errors of an output at which its second derivative jumps."""
        return (-self.delta, self.delta) if "delta" in self.settings else ()

    @cached_property
    def criterion(self) -> Any:
        """The loss and its settings as compiled code is told them, a `Criterion`."""
        from fastmlp_kernels._loss_table import CODES, Criterion

        low, high = (-math.log1p(-self.clip), -math.log(self.clip)) if self.clip else (0.0, math.inf)
        return Criterion(CODES.get(self.name, 0), float(self.delta), float(self.smoothing), low, high)

    @cached_property
    def _kernel(self) -> Callable[..., tuple[float, int]]:
        if self.of_classes:
            from fastmlp_kernels.loss import cross_entropy_of_batch

            return cross_entropy_of_batch
        from fastmlp_kernels.elementwise import elementwise_of_batch

        return elementwise_of_batch

    def of_batch(
        self,
        z: np.ndarray,
        bias: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        dbias: np.ndarray,
        total: float,
    ) -> tuple[float, int]:
        """Return a batch's loss and how many rows are correct; in place, the gradient by its outputs.

        z : (N, K) without their bias (K,), overwritten with the gradient; dbias : (K,) <- its column sums
        targets : (N,) or (N, K); weights : (N,) factors of the rows' losses, None for ones
        total : what the sum over the rows is divided by
        """
        return self._kernel(z, bias, targets, _given(weights, z), dbias, self.criterion, float(total))

    def of_outputs(
        self, z: np.ndarray, bias: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, total: float
    ) -> tuple[float, int]:
        """Return what `of_batch` does, and write nothing."""
        return self._kernel(z, bias, targets, _given(weights, z), None, self.criterion, float(total))

    @cached_property
    def output_kernel(self) -> Callable[[np.ndarray, np.ndarray], None]:
        """The kernel of the output function, of (z, out)."""
        return _copy if self.output is None else _jit(self.output)

    @cached_property
    def log_output_kernel(self) -> Callable[[np.ndarray, np.ndarray], None]:
        """The kernel of its logarithm; ConfigError where the outputs have none."""
        if self.log_output is None:
            raise ConfigError(f"what a network with loss {self.name} says is no probability, and has no logarithm")
        return _copy if self.log_output == "identity" else _jit(self.log_output)

    def spread_of(self, targets: np.ndarray, weights: np.ndarray | None, outputs: int) -> tuple[float, float]:
        """Return the mean losses of answers that know nothing of the inputs, and of those that know the targets.

        The first is that of the best constant answer to these targets, or for a score that does not need it, of equal
        probabilities. weights : (M,) of mean 1, or None
        """
        if self.of_classes:
            return math.log(outputs), 0.0
        if self.targets == "labels":
            return outputs * math.log(2), 0.0
        from fastmlp.nn.spread import BEST_CONSTANTS

        return BEST_CONSTANTS[self.name](targets, weights, self.delta), 0.0

    def score_of(self, loss: float, correct: float, spread: tuple[float, float]) -> float:
        """Return the score, from a mean loss, the fraction of correct rows, and `spread_of` the targets.

        Of several outputs, "R2" is what scikit-learn calls variance-weighted. Where the targets are constant it is 1
        for outputs that are the targets, else 0.
        """
        if self.score == "accuracy":
            return correct
        constant, least = spread
        if math.isnan(loss):
            return loss
        if constant > least:
            return 1 - (loss - least) / (constant - least)
        return 1.0 if loss <= least else 0.0

    def __reduce__(self) -> tuple[Callable[..., Loss], tuple[str, dict[str, Any]]]:
        return _with, (self.name, {name: getattr(self, name) for name in self.settings})


def _jit(name: str) -> Callable[..., Any]:
    from fastmlp_kernels import jit

    return getattr(jit, name)


def _given(weights: np.ndarray | None, z: np.ndarray) -> np.ndarray:
    """Return the weights, or an empty array in their place: numba would compile one form for None, one for these."""
    return z.reshape(-1)[:0] if weights is None else weights


def _copy(z: np.ndarray, out: np.ndarray) -> None:
    out[...] = z


def _node(kind: str, **attributes: Any) -> Callable[[Any, str, str], None]:
    def add(graph: Any, z: str, out: str) -> None:
        graph.node(kind, z, named=out, **attributes)

    return add


def _with(name: str, settings: dict[str, Any]) -> Loss:
    return replace(LOSSES[name], **settings)


CROSS_ENTROPY = Loss(
    name="cross-entropy",
    targets="classes",
    score="accuracy",
    output="softmax",
    log_output="log_softmax",
    onnx=_node("Softmax", axis=-1),
    sklearn="softmax",
    torch="cross_entropy",
    settings=("smoothing", "clip", "by_weight"),
)
_LOGISTIC = Loss(
    name="logistic",
    targets="labels",
    score="accuracy",
    output="sigmoid",
    log_output="log_sigmoid",
    onnx=_node("Sigmoid"),
    sklearn="logistic",
    torch="binary_cross_entropy_with_logits",
    settings=("smoothing", "clip", "by_weight"),
)
_SQUARED_ERROR = Loss(
    name="squared-error",
    targets="numbers",
    score="R2",
    output=None,
    log_output=None,
    onnx=_node("Identity"),
    sklearn="identity",
    torch="mse_loss",
)
_POISSON = Loss(
    name="poisson",
    targets="counts",
    score="D2",
    output="exp",
    log_output="identity",
    onnx=_node("Exp"),
    sklearn="exp",
    torch="poisson_nll_loss",
)
_HUBER = Loss(
    name="huber",
    targets="numbers",
    score="D2",
    output=None,
    log_output=None,
    onnx=_node("Identity"),
    sklearn="identity",
    torch="huber_loss",
    settings=("delta", "by_weight"),
)
LOSSES = {loss.name: loss for loss in (CROSS_ENTROPY, _LOGISTIC, _SQUARED_ERROR, _POISSON, _HUBER)}
# The losses of each kind of a data set's targets, the usual one first. Two classes may be one logistic unit.
LOSSES_OF = {
    "classes": ("cross-entropy", "logistic"),
    "labels": ("logistic",),
    "numbers": ("squared-error", "huber", "poisson"),
}


def outputs_of(loss: str, kind: str, names: int) -> int:
    """Return how many outputs a network has for a target of a kind and so many names: two classes may be one."""
    return names - 1 if kind == "classes" and loss == _LOGISTIC.name else names


def loss_named(loss: str | Loss, **settings: Any) -> Loss:
    """Return the loss of this name, or a record itself, with these settings; ConfigError for what there is not.

    settings : of `Loss.settings`: `loss_named("huber", delta=2.0)`
    """
    if not isinstance(loss, Loss):
        check_name("loss", loss, LOSSES)
        loss = LOSSES[loss]
    unknown = [name for name in settings if name not in loss.settings]
    if unknown:
        raise ConfigError(f"loss {loss.name} has no {unknown[0]}, it has: {', '.join(loss.settings)}")
    return replace(loss, **settings) if settings else loss
