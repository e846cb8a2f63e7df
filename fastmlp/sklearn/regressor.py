"""`FastMLPRegressor`: a network of numbers, as an estimator of scikit-learn."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data

from fastmlp.errors import DataError
from fastmlp.nn.loss import LOSSES, Loss
from fastmlp.nn.network import MLP
from fastmlp.nn.schedule import Schedule
from fastmlp.sklearn.base import Estimator, above_0
from fastmlp.sklearn.checks import warn_of
from fastmlp.sklearn.moments import Moments
from fastmlp.sklearn.names import refuse
from fastmlp.sklearn.rows import Rows

LOSS_NAMES = ("squared-error", "huber", "poisson")


class Numbers(NamedTuple):
    """The numbers that outputs stand for: as they are, or standardised by the moments of the first targets.

    shape : of a row's targets, () for one number, or (K,)
    """

    shape: tuple[int, ...]
    moments: Moments | None

    @property
    def outputs(self) -> int:
        """Output units, K."""
        return math.prod(self.shape)

    def encoded(self, rows: Rows) -> Rows:
        """Return rows with targets (M, K) of the dtype of X, standardised."""
        y = rows.y.reshape(len(rows.y), self.outputs)
        y = y if self.moments is None else self.moments.standardised(y)
        return rows._replace(y=y.astype(rows.X.dtype))


class FastMLPRegressor(RegressorMixin, Estimator):
    """A multi-layer perceptron regressor of one number or several, trained in this package's kernels.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = Estimator._parameter_constraints | {
        "loss": [StrOptions(set(LOSS_NAMES))],
        "delta": [above_0()],
        "standardize_target": ["boolean"],
    }
    loss: str
    delta: float
    standardize_target: bool

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        loss: str = "squared-error",
        delta: float = 1.35,
        init: str = "auto",
        standardize: bool | str = "auto",
        standardize_target: bool = True,
        batch_size: int | str = "auto",
        optimizer: str = "adam",
        learning_rate_init: float | str = "auto",
        schedule: str | Schedule = "constant",
        momentum: float = 0.9,
        betas: Sequence[float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 1e-4,
        decay_per: str = "update",
        clip_norm: float = 0.0,
        max_iter: int = 200,
        early_stopping: bool = False,
        patience: int = 10,
        stopping: str = "best",
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        precision: str = "auto",
        threads: int | None = 1,
        verbose: bool | int | str = "auto",
        **unknown: Any,
    ) -> None:
        refuse(type(self).__name__, unknown, self._get_param_names())
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.delta = delta
        self.init = init
        self.standardize = standardize
        self.standardize_target = standardize_target
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.momentum = momentum
        self.betas = betas
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.decay_per = decay_per
        self.clip_norm = clip_norm
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.patience = patience
        self.stopping = stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.warm_start = warm_start
        self.precision = precision
        self.threads = threads
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on for one epoch; return the estimator.

        The first call's rows are those that `standardize` and `standardize_target` go by: give it enough of them, in no
        order.
        """
        result = self._fit_part(X, y, sample_weight, self._coding)
        warn_of(result, scaled=self._moments is not None)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the numbers of each row, (M,), or (M, K) where y was so, in the network's dtype."""
        outputs = self._outputs(X, MLP.predict)  # first, as it tells whether there is a network
        if self._coded.moments is not None:
            outputs = self._coded.moments.restored(outputs)
        return outputs.reshape(len(outputs), *self._coded.shape)

    def _loss(self) -> Loss:
        loss = LOSSES[self.loss]
        return replace(loss, delta=float(self.delta)) if self.loss == "huber" else loss

    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=reset, multi_output=True, y_numeric=True)
        rows = self._weighted(X, y.astype(np.float64), sample_weight)
        if self.loss == "poisson" and rows.y.min() < 0:
            raise DataError(f'y holds {rows.y.min():.6g}, the loss "poisson" is of numbers from 0 on')
        return rows

    def _coding(self, rows: Rows, goes_on: bool) -> Numbers:
        shape = rows.y.shape[1:]
        if goes_on:
            if shape != self._coded.shape:
                raise DataError(f"y has shape {rows.y.shape}, expected ({', '.join(map(str, ('M', *self._coded.shape)))})")
            return self._coded
        if self.loss == "poisson" or not self.standardize_target:
            return Numbers(shape, None)
        return Numbers(shape, Moments.of(rows.y.reshape(len(rows.y), -1), rows.weights))

    def _begin_coding(self, coding: Numbers, train: Rows) -> None:
        self._coded = coding
        if self.loss == "poisson":  # whose mean may be anything, and which begins at 1
            means = np.average(train.y, axis=0, weights=train.weights)
            self._network.layers[-1].bias = np.log(np.maximum(means, np.finfo(np.float32).tiny))

    def _unfold(self, network: MLP) -> None:
        if self._coded.moments is not None:
            self._coded.moments.unfold_from(network.layers[-1])

    @property
    def _recodes(self) -> bool:
        return self._coded.moments is not None
