"""`FastMLPClassifier`: a network with a softmax, as an estimator of scikit-learn."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelEncoder
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fastmlp.errors import ConfigError
from fastmlp.nn.loss import LOSSES, Loss
from fastmlp.nn.network import MLP
from fastmlp.nn.schedule import Schedule
from fastmlp.sklearn.base import Estimator
from fastmlp.sklearn.checks import warn_of
from fastmlp.sklearn.names import refuse
from fastmlp.sklearn.rows import Rows, class_factors
from fastmlp_kernels import _check


class Labels(NamedTuple):
    """The classes (K,) of any dtype that the outputs stand for, and factors (K,) float64 of the weights of each."""

    classes: np.ndarray
    factors: np.ndarray

    @property
    def outputs(self) -> int:
        """Output units, K."""
        return len(self.classes)

    def encoded(self, rows: Rows) -> Rows:
        """Return rows with labels encoded as indices of the classes, and weights times the factors of these."""
        codes = LabelEncoder().fit(self.classes).transform(rows.y)
        return Rows(rows.X, codes, rows.weights * self.factors[codes])


class FastMLPClassifier(ClassifierMixin, Estimator):
    """A multi-layer perceptron classifier, trained in this package's kernels.

    Features need no scaling: see `standardize`. The output is a softmax for two classes too. Parameters are called as
    in `sklearn.neural_network.MLPClassifier` where they mean the same; its other names are an error that says what they
    are here.

    hidden_layer_sizes : units of each hidden layer; () for none
    activation : of the hidden layers, a key of `fastmlp.nn.activations.ACTIVATIONS` such as "relu", "tanh" or "sigmoid"
        ("logistic" is the same), or one a layer
    init : of the weights, "auto" (He for ReLU, LeCun otherwise) or a key of `fastmlp.nn.initializers.INITIALIZERS`
@COMMON@
    label_smoothing : share from 0 to below 1 of each label that is spread over all classes, in training alone
@COMMON2@
    class_weight : {class: factor}, or "balanced" for factors inverse to the classes' weights; validation rows too
@COMMON3@

    After a fit there are `network_` (a `fastmlp.MLP` of rows as they are given), `classes_`, `n_features_in_`,
    `feature_names_in_`, and, an entry an epoch since the network began, `loss_curve_` (means over the epoch, each batch
    before its step, without weight decay) and, for those that were validated, `validation_loss_curve_` and
    `validation_scores_` (accuracy without weights); `n_iter_` is the number of epochs.
@COMMON4@
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = Estimator._parameter_constraints | {
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    class_weight: dict[Any, float] | str | None
    label_smoothing: float

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        init: str = "auto",
        standardize: bool | str = "auto",
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
        label_smoothing: float = 0.0,
        max_iter: int = 200,
        early_stopping: bool = False,
        patience: int = 10,
        stopping: str = "best",
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        class_weight: dict[Any, float] | str | None = None,
        warm_start: bool = False,
        precision: str = "auto",
        threads: int | None = 1,
        verbose: bool | int | str = "auto",
        **unknown: Any,
    ) -> None:
        refuse(type(self).__name__, unknown, self._get_param_names())
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.standardize = standardize
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
        self.label_smoothing = label_smoothing
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.patience = patience
        self.stopping = stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.precision = precision
        self.threads = threads
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train on for one epoch; return the estimator.

        classes : of all calls together, needed in the first one
        The first call's rows are those that `standardize` goes by: give it enough of them, in no order.
        """
        _check.unmasked(classes=classes)
        if self.class_weight == "balanced":
            raise ConfigError('partial_fit does not see all rows, as class_weight="balanced" needs: give a dict')
        goes_on = hasattr(self, "_network")
        if not goes_on and classes is None:
            raise ConfigError("the first call of partial_fit needs classes, those of all calls together")
        known = self.classes_ if goes_on else np.unique(classes)
        if goes_on and classes is not None and not np.array_equal(known, np.unique(classes)):
            raise ConfigError(f"classes are {np.unique(classes)}, but {known} in the call before: leave them out")

        def coding(rows: Rows, _: bool) -> Labels:
            return Labels(known, class_factors(self.class_weight, known, rows))

        result = self._fit_part(X, y, sample_weight, coding)
        warn_of(result, scaled=self._moments is not None)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (M,)."""
        probabilities = self.predict_proba(X)  # first, as it tells whether there are classes
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (M, K) in the order of `classes_`, in the network's dtype."""
        return self._outputs(X, MLP.predict_proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, finite and exact where a probability rounds to 0 or 1."""
        return self._outputs(X, MLP.predict_log_proba)

    def _loss(self) -> Loss:
        return replace(LOSSES["cross-entropy"], smoothing=float(self.label_smoothing))

    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=reset)
        check_classification_targets(y)
        return self._weighted(X, y, sample_weight)

    def _coding(self, rows: Rows, goes_on: bool) -> Labels:
        classes = self.classes_ if goes_on else np.unique(rows.y)
        return Labels(classes, class_factors(self.class_weight, classes, rows))

    def _begin_coding(self, coding: Labels, train: Rows) -> None:  # noqa: ARG002 - as regressors need it
        self.classes_ = coding.classes
