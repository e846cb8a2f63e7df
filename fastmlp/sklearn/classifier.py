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
from fastmlp.nn.examples import Examples
from fastmlp.nn.loss import LOSSES, Loss
from fastmlp.nn.network import MLP
from fastmlp.nn.schedule import Schedule
from fastmlp.sklearn.base import Estimator, fit_part, outputs_of
from fastmlp.sklearn.checks import check_settings, warn_of
from fastmlp.sklearn.rows import Rows, class_factors, loss_of_frequencies, weighted
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

    Features need no scaling, see `standardize`. The output is a softmax for two classes too. Parameters are called as
    in `sklearn.neural_network.MLPClassifier` where they mean the same; other names of its parameters are errors that
    say what they are here.

    hidden_layer_sizes : units of each hidden layer; () for none
    activation : of the hidden layers, a key of `fastmlp.nn.activations.ACTIVATIONS`, such as "relu", "tanh", "sigmoid"
        (also called "logistic") or "identity", or one a layer
    init : of the weights, "auto" (that of the activation, He for ReLU) or a key of
        `fastmlp.nn.initializers.INITIALIZERS`
    standardize : whether the network learns from features less their means over their deviations, both of the training
        rows with their weights; of a constant feature the deviation is 1. "auto": unless all of them have means from
        -0.5 to 0.5 and deviations from 0.5 to 2, as standardised features have in each part of the rows, which it so
        leaves as they are; and where no deviation is above 5 times another one, over the root of their mean square, as
        such features are mostly in one unit. Computed in float64, so that float32 features such as 1e6 +- 1 lose no
        more than they have lost. It takes a copy of the rows
    batch_size : rows a step; "auto": a fiftieth of the rows, from 32 to 200. More than there are rows: all of them
    optimizer : "adam", "adamw", "sgd" (with momentum) or "nesterov"; each reads its own of the following settings
    learning_rate_init : > 0; "auto": 0.001 for Adam and AdamW, 0.01 for the others
    schedule : a `fastmlp.nn.schedule.Schedule` or a key of its SCHEDULES: "constant", "cosine", which lets the rate
        fall to 0 over `max_iter` epochs, "step", "plateau", "invscaling" or "adaptive"
    momentum : of "sgd" and "nesterov", in [0, 1)
    betas, epsilon : of Adam and AdamW: two numbers in [0, 1), and one > 0
    weight_decay : of the weights, not of the biases. decay_per : "update", as it is, so that it does not depend on the
        batch's size; or "batch", divided by its rows, as MLPClassifier's `alpha` is
    clip_norm : the largest norm of a step's gradient; 0 for none
    dropout : how often an output of a hidden layer is dropped in training, in [0, 1), or one a layer; input_dropout :
        of a feature
    label_smoothing : share of each label that is spread over all classes, in [0, 1); of validation too
    max_iter : epochs; all of them unless training stops early or diverges
    early_stopping : whether to stop by the validation loss. Without a validation set of its own, `fit` then holds out
        `validation_fraction` of the rows, stratified by class
    patience, stopping : when it stops. "best": after more than `patience` epochs in a row without a lower loss than
        all before, as `n_iter_no_change` is counted there; "rises": after `patience` epochs in a row of rising loss
    random_state : of weights, held-out rows and shuffling; an integer gives the same result in each call of `fit`
    class_weight : {class: factor}, or "balanced" for factors inverse to the classes' weights; validation rows too
    warm_start : whether `fit` goes on with the network of the call before, its layers, classes and precision, with what
        features were standardised by, and with an optimiser that begins anew; its weights stay where no epoch
        validates better. `partial_fit` always goes on, with its optimiser
    precision : "auto": that of X, so float32 stays float32, and all that is not is float64. "float32", "float64" or
        "bfloat16" converts X. `predict_proba` gives what the network computes in:
        float32 for float32 and bfloat16
    threads : of the kernels; None for all cores. One by default, as a search with `n_jobs` keeps the cores busy
    verbose : True for a line an epoch on stderr; "auto" for a line that changes, on a terminal, of a fit that takes
        more than two seconds; False for nothing

    After a fit there are `network_` (a `fastmlp.MLP`), `classes_`, `n_features_in_`, `feature_names_in_`, and, an entry
    an epoch since the network began, `loss_curve_` (means over the epoch, each batch before its step, without weight
    decay) and, for those that were validated, `validation_loss_curve_` and `validation_scores_` (accuracy without
    weights); `n_iter_` is the number of epochs.

    A ConvergenceWarning tells that training diverged, and which weights were kept, or that `fit` ended with a loss no
    better than that of the best constant answer. Ctrl-C leaves the weights and the curves of the epochs before it.
    Errors change nothing. `network_` takes rows as they are: what standardises them is folded into its layers, to the
    rounding of its dtype, which `predict` does not suffer.

    The defaults were chosen by five folds of made-up data: scikit-learn's `make_classification` of 150 to 8,000 rows,
    moons, quantiles and blobs, many of them scaled anew; and on this package's images, shrunk to 8 x 8. There a weight
    decay of 3e-3 gave the best accuracy of 1e-4 to 3e-2, and batches of 32 to 50 rows a better one than those of 200.
    Early stopping did worse on so few rows.

    What does not fit is a ValueError, as scikit-learn has it: parameters, NaN or infinity, shapes, unknown or too few
    classes. Sparse matrices are refused: to make them dense may take any amount of memory.
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
        weight_decay: float = 3e-3,
        decay_per: str = "update",
        clip_norm: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
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
    ) -> None:
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
        self.dropout = dropout
        self.input_dropout = input_dropout
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

        result = fit_part(self, X, y, sample_weight, coding)
        warn_of(result, scaled=bool(self.standardize))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (M,)."""
        probabilities = self.predict_proba(X)  # first, as it tells whether there are classes
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (M, K) in the order of `classes_`, in the network's dtype."""
        return outputs_of(self, X, MLP.predict_proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, finite and exact where a probability rounds to 0 or 1."""
        return outputs_of(self, X, MLP.predict_log_proba)

    def _loss(self) -> Loss:
        return replace(LOSSES["cross-entropy"], smoothing=float(self.label_smoothing))

    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=reset)
        check_classification_targets(y)
        check_settings(self, float32=X.dtype == np.float32)
        return weighted(X, y, sample_weight)

    def _coding(self, rows: Rows, goes_on: bool) -> Labels:
        classes = self.classes_ if goes_on else np.unique(rows.y)
        return Labels(classes, class_factors(self.class_weight, classes, rows))

    def _begin_coding(self, coding: Labels) -> None:
        self.classes_ = coding.classes

    def _constant_loss(self, train: Rows, examples: Examples, loss: Loss) -> float:  # noqa: ARG002
        return loss_of_frequencies(train, loss.smoothing, len(self.classes_))
