"""A network of this package in the place of a scikit-learn perceptron's arrays: it steps, and gives gradients.

scikit-learn keeps parameters in two lists, of weights and of biases, and the state of an optimiser in lists of the same
order; here both are views of flat arrays, so that they stay scikit-learn's while compiled code works on them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastmlp.errors import ConfigError
from fastmlp.nn.engine import Totals
from fastmlp.nn.examples import Examples
from fastmlp.nn.inputs import ArrayInput
from fastmlp.nn.layers import split_parameters
from fastmlp.nn.loss import LOSSES
from fastmlp.nn.network import MLP
from fastmlp.nn.optimizer import SGD, Adam, Nesterov, Optimizer, check_optimizer
from fastmlp.nn.slices import Slices
from fastmlp.nn.threads import blas_info, usable_cores

# Losses by what scikit-learn calls the output's activation.
LOSS_OF_OUTPUT = {"softmax": "cross-entropy", "logistic": "logistic", "identity": "squared-error", "exp": "poisson"}
# Where scikit-learn's optimisers keep their state, in the order of the slots of ours.
SLOTS = {"SGDOptimizer": ("velocities",), "AdamOptimizer": ("ms", "vs")}
# Bytes of what is copied for one call of compiled code, in whole batches: the rows, made dense, where it cannot read X
# as it lies, else their targets. Few enough to stay in a cache, and enough that the calls do not count.
PART_BYTES = 2**20
# Our mean of squares is v + (1 - beta_2) * (g**2 - v), with a rounding error of v, which is left of the share beta_2.
LEAST_BETA_2 = 0.01


def threads() -> int:
    """Return how many threads train: as many as BLAS would take here, which scikit-learn leaves its products to.

    So OMP_NUM_THREADS, threadpoolctl's limits and joblib's, which it sets in its workers, hold for compiled code too.
    """
    libraries = [library["num_threads"] for library in blas_info()]
    return min([usable_cores(), *libraries])


def targets_of(y: np.ndarray, output: str, dtype: np.dtype) -> np.ndarray:
    """Return scikit-learn's targets as a network takes them: (N,) int64 classes or (N, K) of its dtype.

    y : (N, K), one-hot under a softmax, bool or any number; or targets that this function returned
    output : the output's activation
    """
    if y.ndim == 1:
        return y
    return y.argmax(axis=1) if output == "softmax" else np.ascontiguousarray(y, dtype)


def _like(own: Any, alpha: float) -> Optimizer:
    """Return this package's optimiser that steps as scikit-learn's `own`; ConfigError where there is none."""
    optimizer: Optimizer
    if type(own).__name__ == "SGDOptimizer":
        kind = Nesterov if own.nesterov else SGD
        optimizer = kind(own.learning_rate, own.momentum, alpha, "batch")
    else:
        rates = own.learning_rate_init, own.beta_1, own.beta_2, own.epsilon
        if own.beta_2 < LEAST_BETA_2:
            raise ConfigError(f"beta_2 is {own.beta_2}, below {LEAST_BETA_2}")
        optimizer = Adam(*rates, alpha, "batch", eps_hat=True)
    optimizer.penalty = True
    return optimizer


class Training:
    """A network of the values of `coefs` and `intercepts`, arrays (D, H) and (H,) of float32 or float64.

    activation, output : of the hidden layers and of the output, as scikit-learn calls them
    coefs, intercepts : views of the network's parameters, for the estimator to hold
    """

    def __init__(
        self,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
        activation: str,
        output: str,
    ) -> None:
        dtype = np.result_type(*coefs, *intercepts)
        eps = float(np.finfo(dtype).eps)  # scikit-learn keeps probabilities as far from 0 and 1 in its logarithms
        loss = replace(LOSSES[LOSS_OF_OUTPUT[output]], by_weight=True)
        if output in ("softmax", "logistic"):
            loss = replace(loss, clip=eps)
        sizes = [len(coefs[0]), *map(len, intercepts)]
        self.activation, self.output, self.dtype = activation, output, dtype
        self.network = MLP(sizes, activation, loss=loss, precision=dtype.name, threads=threads())
        self.coefs = [layer.weight for layer in self.network.layers]
        self.intercepts = [layer.bias for layer in self.network.layers]
        self.load(coefs, intercepts)
        self._own: Any = None
        self._slices = Slices()

    def is_of(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> bool:
        """Whether these arrays, of any dtype and shape (...), are its own."""
        given, own = [*coefs, *intercepts], self.coefs + self.intercepts
        return len(given) == len(own) and all(a is b for a, b in zip(given, own, strict=True))

    def load(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
        """Copy these values, (D, H) and (H,) of any dtype, into the network."""
        for own, given in zip(self.coefs + self.intercepts, [*coefs, *intercepts], strict=True):
            own[...] = given

    def examples(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Examples:
        """Return rows X (N, D), dense or sparse, and targets y (N, K) as `epoch` and `gradients` take them.

        scikit-learn has looked through X for NaN and infinity.

        sample_weight : (N,), or None. Numbers of any dtype are rounded to the network's.
        """
        if not issparse(X) and X.dtype == self.dtype and X.flags.c_contiguous:
            X = ArrayInput(X, is_finite=True)
        elif issparse(X):
            X = X.tocsr()
        weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, self.dtype)
        return Examples(X, targets_of(y, self.output, self.dtype), weights)

    def step_as(self, own: Any, alpha: float) -> None:
        """Step as scikit-learn's optimiser `own` from now on, whose state this network's becomes.

        Raises ConfigError for settings that this package's optimisers do not take.
        """
        if self._own is not own or any(getattr(own, name) is not views for name, views in self._views.items()):
            optimizer = _like(own, alpha)
            check_optimizer(optimizer, self.dtype)
            memory, views = optimizer.memory_of(self.network.parameters), {}
            for name, flat in zip(SLOTS[type(own).__name__], memory.slots, strict=True):
                weights, biases = zip(*split_parameters(flat, self.network.sizes), strict=True)
                views[name] = [*weights, *biases]
                for view, given in zip(views[name], getattr(own, name), strict=True):
                    view[...] = given
                setattr(own, name, views[name])
            memory.steps = getattr(own, "t", 0)
            self._own, self._views, self._optimizer, self._memory = own, views, optimizer, memory
        self._optimizer.weight_decay = float(alpha)

    def epoch(self, examples: Examples, order: np.ndarray, batch_size: int) -> float:
        """Take a step on each batch of the rows `order` (N,) int64; return scikit-learn's loss of them.

        That is the mean over rows of each batch's mean loss before its step, with the share of the weight decay.
        """

        def train(rows: np.ndarray, loss: float) -> Totals:
            return self._train(examples, rows, batch_size, loss)

        own, optimizer = self._own, self._optimizer
        if not isinstance(optimizer, Adam):
            optimizer.lr = own.learning_rate
        try:  # between two calls Python hears Ctrl-C; a loss that is not finite ends nothing in scikit-learn
            *_, totals = self._slices.run("train", train, order, batch_size)
        finally:
            if isinstance(optimizer, Adam):
                own.t = self._memory.steps
        if isinstance(optimizer, Adam):
            t = own.t
            own.learning_rate = optimizer.lr * math.sqrt(1 - optimizer.beta2**t) / (1 - optimizer.beta1**t)
        return np.float64(totals.loss * self._share + totals.penalty) / totals.rows  # a number with numpy's methods

    def _train(self, examples: Examples, rows: np.ndarray, batch_size: int, loss: float) -> Totals:
        X: Any = examples.inputs
        direct = isinstance(X, ArrayInput)
        width = self.network.sizes[-1] if direct else self.network.sizes[0]  # targets are copied in their order
        rows = rows[: max(PART_BYTES // (batch_size * width * self.dtype.itemsize), 1) * batch_size]
        if not direct:
            part = X[rows]
            dense = np.ascontiguousarray(part.toarray() if issparse(part) else part, self.dtype)
            weights = None if examples.weights is None else examples.weights[rows]
            examples = Examples(ArrayInput(dense, is_finite=True), examples.targets[rows], weights)
            rows = np.arange(len(rows))
        return self.network.engine.train(examples, rows, batch_size, self._optimizer, loss)

    @property
    def _share(self) -> float:
        """What a sum of losses is multiplied by: scikit-learn's squared error is a mean over the outputs."""
        return 1 / self.network.sizes[-1] if self.output == "identity" else 1.0

    def gradients(self, examples: Examples, alpha: float) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
        """Return scikit-learn's loss of all rows, and its gradients by coefs and intercepts, (D, H) and (H,)."""
        loss, _ = self.network.engine.input_gradients(examples)
        total = len(examples.inputs) if examples.weights is None else examples.weights.sum(dtype=np.float64)
        decay, layers = alpha / total, self.network.layers
        penalty = 0.5 * decay * sum(float(np.vdot(layer.weight, layer.weight)) for layer in layers)
        of_coefs = [layer.dweight + decay * layer.weight for layer in layers]
        return np.float64(loss * self._share + penalty), of_coefs, [layer.dbias for layer in layers]
