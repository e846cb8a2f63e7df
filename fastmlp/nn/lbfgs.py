"""Training by L-BFGS: scipy's quasi-Newton method on the loss of all rows at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.checks import FROM_0, check_count, check_function, check_name
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.fit import says_stop, stopwatch
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.inputs import Input
from fastmlp.nn.layers import split_parameters

if TYPE_CHECKING:
    from fastmlp.nn.examples import Examples
    from fastmlp.nn.network import MLP

# The others round the gradient by more than what a line search compares.
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class LbfgsResult(FitResult):
    """The result of `fit_lbfgs`, whose epochs are iterations: the last one's weights are left.

    converged : whether one of the method's tests of convergence holds; else `message` says why it ended
    objective : mean loss and weight decay's part, of the weights that are left
    evaluations : of the loss and its gradient
    """

    converged: bool
    message: str
    objective: float
    evaluations: int


class _Objective:
    """The mean loss of all rows and 0.5 * weight_decay * |W|^2, with its gradient, of float64 parameters (P,)."""

    def __init__(self, model: MLP, examples: Examples, weight_decay: float) -> None:
        self._model, self._examples, self._weight_decay = model, examples, weight_decay
        self._at = np.full(model.parameters.size, np.nan)
        self.loss, self.correct, self.evaluations = math.nan, 0, 0

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Set the network to these parameters; return the objective and its gradient (P,) float64."""
        model = self._model
        self.set_to(parameters)
        gradient, value = model.gradient.astype(np.float64), self.loss
        pairs = zip(*(split_parameters(flat, model.sizes) for flat in (parameters, gradient)), strict=True)
        for (weight, _), (dweight, _) in pairs:
            value += 0.5 * self._weight_decay * np.vdot(weight, weight)
            dweight += self._weight_decay * weight
        return float(value), gradient

    def set_to(self, parameters: np.ndarray) -> None:
        """Set the network to these parameters, with its loss, correct answers and gradient."""
        if not np.array_equal(parameters, self._at):  # an iteration ends where the loss was last evaluated
            self._model.parameters[...] = self._at[...] = parameters
            self.loss, self.correct = self._model.gradients_on(self._examples)
            self.evaluations += 1


def _scipy_minimize() -> Callable[..., Any]:
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise MissingExtraError(f"L-BFGS needs scipy ({error}): pip install 'fastmlp[lbfgs]'.") from error
    return minimize


@np.errstate(over="ignore", invalid="ignore")  # what overflows is told by the status
def fit_lbfgs(
    model: MLP,
    x: Input | np.ndarray,
    targets: np.ndarray,
    *,
    sample_weight: npt.ArrayLike | None = None,
    weight_decay: float = 0.0,
    decay_per: str = "update",
    max_iter: int = 200,
    max_evaluations: int = 15000,
    tol: float = 1e-4,
    on_epoch: Callable[[int, History], bool | None] | None = None,
) -> LbfgsResult:
    """Train a network by L-BFGS on all rows, in place, from its present weights.

    x : (M, D) array or an `ImageInput`; targets : (M,) integers or (M, K) numbers, as the network's loss takes them
    sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; scaled to a mean of 1
    weight_decay, decay_per : as of `SGD`: 0.5 * weight_decay * |W|^2 is added to the mean loss, of the weights alone;
        with "batch" it is divided by M, as scikit-learn's alpha is
    max_iter, max_evaluations : iterations, and evaluations of the loss, after which training ends
    tol : it has converged where no element of the gradient is larger, or where the loss hardly falls (scipy's `ftol`)
    on_epoch(iteration, history) after each iteration, counted from 1; True ends training with the status "stopped"

    The network drops nothing: the method needs a loss that is a function of the weights. Its precision is float64, or
    float32, in which training ends where rounding hides a further fall. The
    history has an entry an iteration: loss, without weight decay, and score of the weights after it. An iteration
    mostly takes one evaluation, of all rows at once, for which there must be memory. There is no validation.

    Nocedal and Wright (2006), "Numerical Optimization", section 7.2; scipy's "L-BFGS-B", without bounds.
    Raises ConfigError or DataError for arguments that do not fit, MissingExtraError without scipy. An exception that
    ends training leaves the weights of the last iteration.
    """
    minimize = _scipy_minimize()
    check_name("the network's precision", model.precision, PRECISIONS)
    if model.dropout.drops:
        raise ConfigError("L-BFGS takes no network with dropout, whose loss is another in each evaluation")
    for name, count in (("max_iter", max_iter), ("max_evaluations", max_evaluations)):
        check_count(name, count)
    for name, number in (("weight_decay", weight_decay), ("tol", tol)):
        FROM_0.check(name, number)
    check_name("decay_per", decay_per, DECAY_PER)
    check_function("on_epoch", on_epoch)
    examples = model.examples(x, targets, sample_weight)
    rows = len(examples.inputs)
    objective = _Objective(model, examples, weight_decay / rows if decay_per == "batch" else weight_decay)
    history = model.history = History()
    kept, status, seconds = model.parameters.copy(), "done", stopwatch(0.0)
    value = math.nan

    # scipy knows what to pass by the argument's name
    def after_iteration(intermediate_result: Any) -> None:
        nonlocal status, value
        objective.set_to(intermediate_result.x)
        if not (math.isfinite(intermediate_result.fun) and np.isfinite(model.parameters).all()):
            status = "diverged"
            raise StopIteration
        np.copyto(kept, model.parameters)
        value = float(intermediate_result.fun)
        history.train_loss.append(objective.loss)
        history.train_accuracy.append(model.loss.score_of(objective.loss, objective.correct / rows, examples.spread))
        if on_epoch is not None and says_stop(on_epoch(len(history.train_loss), history)):
            status = "stopped"
            raise StopIteration

    try:
        found = minimize(
            objective,
            model.parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={"maxiter": max_iter, "maxfun": max_evaluations, "gtol": tol},
        )
    finally:
        np.copyto(model.parameters, kept)
    if not history.train_loss:  # where it begins, or it is no number
        value = float(found.fun)
        status = status if math.isfinite(value) else "diverged"
    took, done = seconds(), len(history.train_loss)
    state = State(history, model.parameters, np.empty((0, kept.size), kept.dtype), kept, {}, took)
    speed = objective.evaluations * rows / took
    how = bool(found.success), str(found.message), value, objective.evaluations
    return LbfgsResult(history, done, done, status, took, speed, state, *how)
