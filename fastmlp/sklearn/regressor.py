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
from fastmlp.nn.examples import Examples
from fastmlp.nn.loss import LOSSES, Loss
from fastmlp.nn.moments import Moments
from fastmlp.nn.network import MLP
from fastmlp.nn.schedule import Schedule
from fastmlp.sklearn.base import Estimator, above_0, fit_part, outputs_of
from fastmlp.sklearn.checks import check_settings, warn_of
from fastmlp.sklearn.rows import Rows, weighted

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
    """A multi-layer perceptron regressor of one number a row or several, trained in this package's kernels.

    Neither features nor targets need scaling, see `standardize` and `standardize_target`. Parameters are called as in
    `sklearn.neural_network.MLPRegressor` where they mean the same; other names of its parameters are errors that say
    what they are here. `score` is R2, for each loss.

    hidden_layer_sizes : units of each hidden layer; () for none
    activation : of the hidden layers, a key of `fastmlp.nn.activations.ACTIVATIONS`, such as "relu", "tanh", "sigmoid"
        (also called "logistic") or "identity", or one a layer
    loss : "squared-error"; "huber", which counts errors beyond `delta` by their size and no more by their square; or
        "poisson", for counts or other numbers from 0 on, whose logarithm the network then learns
    delta : of Huber's loss, > 0, in deviations of the target where that is standardised, else in its own units
    init : of the weights, "auto" (that of the activation, He for ReLU) or a key of
        `fastmlp.nn.initializers.INITIALIZERS`
    standardize : whether the network learns from features less their means over their deviations, both of the training
        rows with their weights; of a constant feature the deviation is 1. "auto": unless all of them have means from
        -0.5 to 0.5 and deviations from 0.5 to 2, as standardised features have in each part of the rows, which it so
        leaves as they are; and where no deviation is above 5 times another one, over the root of their mean square, as
        such features are mostly in one unit. Computed in float64, so that float32 features such as 1e6 +- 1 lose no
        more than they have lost. It takes a copy of the rows
    standardize_target : whether the network learns targets less their means over their deviations, each output by
        itself, by the rows and weights of the first call, and for "poisson" targets over their means. Losses are then
        of these
    batch_size : rows a step; "auto": a fiftieth of the rows, from 32 to 200. More than there are rows: all of them
    optimizer : "adam", "adamw", "sgd" (with momentum) or "nesterov"; each reads its own of the following settings
    learning_rate_init : > 0; "auto": 0.002 for Adam and AdamW, 0.01 for the others
    schedule : a `fastmlp.nn.schedule.Schedule` or a key of its SCHEDULES: "constant", "cosine", which lets the rate
        fall to 0 over `max_iter` epochs, "step", "plateau", "invscaling" or "adaptive"
    momentum : of "sgd" and "nesterov", in [0, 1)
    betas, epsilon : of Adam and AdamW: two numbers in [0, 1), and one > 0
    weight_decay : of the weights, not of the biases. decay_per : "update", as it is, so that it does not depend on the
        batch's size; or "batch", divided by its rows, as MLPClassifier's `alpha` is
    clip_norm : the largest norm of a step's gradient; 0 for none
    dropout : how often an output of a hidden layer is dropped in training, in [0, 1), or one a layer; input_dropout :
        of a feature
    max_iter : epochs; all of them unless training stops early or diverges
    early_stopping : whether to stop by the validation loss. Without a validation set of its own, `fit` then holds out
        `validation_fraction` of the rows
    patience, stopping : when it stops. "best": after more than `patience` epochs in a row without a lower loss than
        all before, as `n_iter_no_change` is counted there; "rises": after `patience` epochs in a row of rising loss
    random_state : of weights, held-out rows and shuffling; an integer gives the same result in each call of `fit`
    warm_start : whether `fit` goes on with the network of the call before, its layers, outputs and precision, with what
        features and targets were standardised by, and with an optimiser that begins anew; its weights stay where no
        epoch validates better. `partial_fit` always goes on, with its optimiser
    precision : "auto": that of X, so float32 stays float32, and all that is not is float64. "float32", "float64" or
        "bfloat16" converts X
    threads : of the kernels; None for all cores. One by default, as a search with `n_jobs` keeps the cores busy
    verbose : True for a line an epoch on stderr; "auto" for a line that changes, on a terminal, of a fit that takes
        more than two seconds; False for nothing

    After a fit there are `network_` (a `fastmlp.MLP`), `n_features_in_`, `feature_names_in_`, and, an entry an epoch
    since the network began, `loss_curve_` (means over the epoch, each batch before its step, without weight decay) and,
    for those that were validated, `validation_loss_curve_` and `validation_scores_` (R2 of squared error, else D2, by
    the weights; of several outputs that of all together); `n_iter_` is the number of epochs.

    A ConvergenceWarning tells that training diverged, and which weights were kept, or that `fit` ended with a loss no
    better than that of the best constant answer. Ctrl-C leaves the weights and the curves of the epochs before it.
    Errors change nothing. `network_` takes rows as they are: what standardises them is folded into its layers, to the
    rounding of its dtype, which `predict` does not suffer.

    The defaults were chosen by five folds of made-up data: scikit-learn's `make_friedman2`, `make_friedman3`,
    `make_regression` and `make_sparse_uncorrelated`, of 200 to 6,000 rows. A weight decay of 1e-3 is between what noisy
    targets of few rows (1e-2) and exact ones of many (1e-4) want; batches are those of `FastMLPClassifier`.

    What does not fit is a ValueError, as scikit-learn has it: parameters, NaN or infinity, shapes. Sparse matrices are
    refused: to make them dense may take any amount of memory.
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
        weight_decay: float = 1e-3,
        decay_per: str = "update",
        clip_norm: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
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
    ) -> None:
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
        self.dropout = dropout
        self.input_dropout = input_dropout
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
        result = fit_part(self, X, y, sample_weight, self._coding)
        warn_of(result, scaled=bool(self.standardize))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the numbers of each row, (M,), or (M, K) where y was so.

        They are float64 where the target is standardised, as float32 could not tell 1e9 from 1e9 + 1; else they have
        the network's dtype.
        """
        outputs = outputs_of(self, X, MLP.predict)  # first, as it tells whether there is a network
        if self._coded.moments is not None:
            outputs = self._coded.moments.restored(outputs)
        return outputs.reshape(len(outputs), *self._coded.shape)

    def _loss(self) -> Loss:
        loss = LOSSES[self.loss]
        return replace(loss, delta=float(self.delta)) if self.loss == "huber" else loss

    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=reset, multi_output=True, y_numeric=True)
        check_settings(self, float32=X.dtype == np.float32)
        rows = weighted(X, y.astype(np.float64), sample_weight)
        if self.loss == "poisson" and rows.y.min() < 0:
            raise DataError(f'y holds {rows.y.min():.6g}, the loss "poisson" is of numbers from 0 on')
        return rows

    def _coding(self, rows: Rows, goes_on: bool) -> Numbers:
        shape = rows.y.shape[1:]
        if goes_on:
            if shape != self._coded.shape:
                raise DataError(f"y has rows of shape {shape}, but {self._coded.shape} in the call before")
            return self._coded
        if not self.standardize_target:
            return Numbers(shape, None)
        y = rows.y.reshape(len(rows.y), -1)
        if self.loss != "poisson":
            return Numbers(shape, Moments.of(y, rows.weights))
        means = np.average(y, axis=0, weights=rows.weights)
        return Numbers(shape, Moments(np.zeros_like(means), np.where(means > 0, means, 1)))

    def _begin_coding(self, coding: Numbers) -> None:
        self._coded = coding

    def _constant_loss(self, train: Rows, examples: Examples, loss: Loss) -> float:  # noqa: ARG002
        return examples.spread[0]

    def _unfold(self, network: MLP) -> None:
        moments, layer = self._coded.moments, network.layers[-1]
        if moments is None:
            return
        if network.loss.name == "poisson":  # whose outputs are logarithms
            layer.bias = layer.bias + np.log(moments.deviations)
        else:
            moments.unfold_from(layer)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _scales_targets(self) -> bool:
        return self._coded.moments is not None
