<<<<<<< HEAD
"""This package's networks as estimators of scikit-learn (extra `sklearn`)."""

from fastmlp.errors import MissingExtraError
=======
"""Networks of this package as estimators of scikit-learn (extra `sklearn`).

`FastMLPClassifier` has this package's own settings. `MLPClassifier` and `MLPRegressor` are scikit-learn's, with its
results, trained faster; `patch` puts them in the place of those, and `python -m fastmlp.sklearn script.py` runs a
script so. They load when first asked for, as they rest on names of scikit-learn that another one may not have.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from numbers import Integral, Real
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np

from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.initializers import INITIALIZERS
from fastmlp.nn.network import MLP
from fastmlp.nn.optimizer import SGD
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import SCHEDULES
from fastmlp.nn.stopping import STOPPING
from fastmlp_kernels import _check
>>>>>>> main

try:
    import sklearn.base
    import sklearn.utils._param_validation
    from sklearn.utils.validation import validate_data as _  # of 1.6
except ImportError as error:
    raise MissingExtraError(
        f"fastmlp.sklearn needs scikit-learn 1.7 or newer ({error}): pip install 'fastmlp[sklearn]'."
    ) from error

from fastmlp.sklearn.classifier import FastMLPClassifier
from fastmlp.sklearn.regressor import FastMLPRegressor

<<<<<<< HEAD
__all__ = ["FastMLPClassifier", "FastMLPRegressor"]
=======
# By name: the module that has it.
_LATER = {
    "MLPClassifier": "fastmlp.sklearn.dropin",
    "MLPRegressor": "fastmlp.sklearn.dropin",
    "patch": "fastmlp.sklearn.patching",
    "unpatch": "fastmlp.sklearn.patching",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def _interval(setting: str) -> Interval:
    numbers = SGD.SETTINGS[setting].range
    return Interval(Real, 0, 1 if numbers.below_1 else None, closed="left" if numbers.zero else "neither")


class FastMLPClassifier(ClassifierMixin, BaseEstimator):
    """A multi-layer perceptron classifier, trained by SGD with momentum in this package's kernels.

    Parameters are called as in `sklearn.neural_network.MLPClassifier` where they mean the same. Scale the features
    first, as for it. The output is a softmax for two classes too, and `loss_curve_` leaves the weight decay out.

    hidden_layer_sizes : units of each hidden layer; () for none
    activation : of the hidden layers: "relu", "tanh", "sigmoid" (there "logistic") or "identity"
    init : of the weights, "auto" (He for ReLU, LeCun otherwise) or a key of `fastmlp.nn.initializers.INITIALIZERS`
    batch_size : rows a step; "auto": min(200, rows). More than there are rows: all of them
    learning_rate_init : > 0; schedule : "constant", or "cosine", which lets it fall to 0 over `max_iter` epochs
    momentum : in [0, 1), not Nesterov's
    weight_decay : of the weights, not of the biases. decay_per : "update", as it is, so that it does not depend on the
        batch's size; or "batch", divided by its rows, as MLPClassifier's `alpha` is
    max_iter : epochs; all of them unless training stops early or diverges
    early_stopping : whether to stop by the validation loss. Without a validation set of its own, `fit` then holds out
        `validation_fraction` of the rows, stratified by class
    patience, stopping : when it stops. "best": after more than `patience` epochs in a row without a lower loss than
        all before, as `n_iter_no_change` is counted there; "rises": after `patience` epochs in a row of rising loss
    random_state : of weights, held-out rows and shuffling; an integer gives the same result in each call of `fit`
    class_weight : {class: factor}, or "balanced" for factors inverse to the classes' weights; validation rows too
    warm_start : whether `fit` goes on with the network of the call before, its layers, classes and precision, with no
        velocity; its weights stay where no epoch validates better. `partial_fit` always goes on, with its velocity
    precision : "auto": that of X, so float32 stays float32, and all that is not is float64, in which a step takes twice
        as long. "float32", "float64" or "bfloat16" converts X. `predict_proba` gives what the network computes in:
        float32 for float32 and bfloat16
    threads : of a training step; None for all cores. One by default, as a search with `n_jobs` keeps the cores busy

    After a fit there are `network_` (a `fastmlp.MLP`), `classes_`, `n_features_in_`, `feature_names_in_`, and, an entry
    an epoch since the network began, `loss_curve_` (means over the epoch, each batch before its step) and, for those
    that were validated, `validation_loss_curve_` and `validation_scores_` (accuracy without weights); `n_iter_` is the
    number of epochs.

    A ConvergenceWarning tells that training diverged, and which weights were kept, or that `fit` ended with a loss no
    better than that of class frequencies. Ctrl-C leaves the weights and the curves of the epochs before it. Errors
    change nothing.

    What does not fit is a ValueError, as scikit-learn has it: parameters, NaN or infinity, shapes, unknown or too few
    classes. Sparse matrices are refused: to make them dense may take any amount of memory.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"auto", *INITIALIZERS})],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [_interval("lr")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "momentum": [_interval("momentum")],
        "weight_decay": [_interval("weight_decay")],
        "decay_per": [StrOptions(set(DECAY_PER))],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "stopping": [StrOptions(set(STOPPING))],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"auto", *PRECISIONS} - {"int8"})],  # int8 is for images alone
        "threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        activation: str = "relu",
        *,
        init: str = "auto",
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.01,
        schedule: str = "constant",
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        decay_per: str = "update",
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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.decay_per = decay_per
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *,
        X_val: Any = None, y_val: Any = None, sample_weight_val: Any = None,
    ) -> Self:  # fmt: skip
        """Train on rows X (M, D) with labels y (M,); return the estimator.

        sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; those of weight 0 are left out
        X_val, y_val, sample_weight_val : rows to validate on after each epoch, which then choose the weights that are
            kept, those of the lowest loss. `early_stopping` says whether they also end training
        """
        before = dict(vars(self))
        masks = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        _check.unmasked(X=X, y=y, sample_weight=sample_weight, **masks)  # scikit-learn's own checks pass over them
        with restored(self, before, BaseException):
            if (X_val is None) != (y_val is None):
                raise ConfigError("X_val and y_val belong together: give both or neither")
            if X_val is None and sample_weight_val is not None:
                raise ConfigError("sample_weight_val is of the rows X_val, which are not given")
            goes_on = self.warm_start and hasattr(self, "network_")
            rows = self._checked(X, y, sample_weight, self._dtype(goes_on), reset=not goes_on)
            classes = self.classes_ if goes_on else np.unique(rows.y)
            factors = class_factors(self.class_weight, classes, rows)
            train, held = encoded(rows, classes, factors), None
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            if X_val is not None:
                rows = self._checked(X_val, y_val, sample_weight_val, train.X.dtype, reset=False)
                held = encoded(rows, classes, factors)
            elif self.early_stopping:
                train, held = split(train, self.validation_fraction, seed)
            if not goes_on:
                self._begin(train.X, classes, seed)
            self._slots = np.zeros(1, self.network_.dtype)  # of all, at zero
        with restored(self, before, Exception):
            patience = self.patience if self.early_stopping else self.max_iter
            result = self._train(train, held, self.max_iter, patience, goes_on)
            loss, _ = self.network_.evaluate(*train[:2], self._batch_size(train), sample_weight=train.weights)
        warn_of(result, loss, loss_of_frequencies(train))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train on for one epoch; return the estimator.

        classes : of all calls together, needed in the first one
        """
        before = dict(vars(self))
        _check.unmasked(X=X, y=y, sample_weight=sample_weight, classes=classes)
        with restored(self, before, BaseException):
            if self.early_stopping:
                raise ConfigError("partial_fit is one epoch and cannot stop early: set early_stopping=False")
            if self.class_weight == "balanced":
                raise ConfigError('partial_fit does not see all rows, as class_weight="balanced" needs: give a dict')
            goes_on = hasattr(self, "network_")
            if not goes_on and classes is None:
                raise ConfigError("the first call of partial_fit needs classes, those of all calls together")
            known = self.classes_ if goes_on else np.unique(classes)
            if goes_on and classes is not None and not np.array_equal(known, np.unique(classes)):
                raise ConfigError(f"classes are {np.unique(classes)}, but {known} in the call before: leave them out")
            rows = self._checked(X, y, sample_weight, self._dtype(goes_on), reset=not goes_on)
            train = encoded(rows, known, class_factors(self.class_weight, known, rows))
            if not goes_on:
                self._begin(train.X, known, check_random_state(self.random_state).randint(2**31 - 1))
        with restored(self, before, Exception):
            result = self._train(train, None, 1, 1, goes_on)
        warn_of(result)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (M,)."""
        probabilities = self.predict_proba(X)  # first, as it tells whether there are classes
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (M, K) in the order of `classes_`, in the network's dtype."""
        return self._of_rows(X, MLP.predict_proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, finite and exact where a probability rounds to 0 or 1."""
        return self._of_rows(X, MLP.predict_log_proba)

    def _of_rows(self, X: Any, ask: Callable[[MLP, np.ndarray], np.ndarray]) -> np.ndarray:
        check_is_fitted(self)
        _check.unmasked(X=X)
        X = validate_data(self, X, dtype=self.network_.dtype, order="C", reset=False)
        with self._lock:  # a network has one set of buffers
            return ask(self.network_, X)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def _dtype(self, goes_on: bool) -> Any:
        if goes_on:
            return self.network_.dtype
        if self.precision == "auto":
            return [np.float64, np.float32]  # what X has of these; the first one for all else
        return np.dtype(PRECISIONS[self.precision].dtype).type

    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=reset)
        check_classification_targets(y)
        check_settings(self, float32=X.dtype == np.float32)
        return weighted(X, y, sample_weight)

    def _batch_size(self, rows: Rows) -> int:
        return min(200 if isinstance(self.batch_size, str) else self.batch_size, len(rows.y))  # a string is "auto"

    def _begin(self, X: np.ndarray, classes: np.ndarray, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        sizes = [X.shape[1], *hidden_units(self.hidden_layer_sizes), MLP.loss.outputs(len(classes))]
        precision = X.dtype.name if self.precision == "auto" else self.precision
        self.network_ = MLP(
            sizes, self.activation, init=self.init, precision=precision, threads=self.threads, rng=self._rng
        )
        self._slots = np.zeros(1, self.network_.dtype)  # of all, at zero
        self._lock = Lock()
        self.classes_ = classes
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []

    def _train(self, train: Rows, held: Rows | None, epochs: int, patience: int, goes_on: bool) -> FitResult:
        network = self.network_
        optimizer = SGD(self.learning_rate_init, self.momentum, self.weight_decay, self.decay_per)
        slots = optimizer.state_of(network.parameters)
        slots[...] = self._slots
        generator = self._rng.bit_generator.state
        begun = State(History(), network.parameters, slots, network.parameters, generator, 0.0)
        network.history, kept = None, network.parameters.copy()
        try:
            return fit(
                network, train.X, train.y, sample_weight=train.weights, validation=held, optimizer=optimizer,
                epochs=epochs, batch_size=self._batch_size(train), patience=patience, stopping=self.stopping,
                schedule=self.schedule, rng=self._rng, keep_start=goes_on, resume=begun,
            )  # fmt: skip
        except Exception:
            network.parameters[...], self._rng.bit_generator.state = kept, generator
            raise
        finally:
            history = network.history or History()
            self.loss_curve_ = [*self.loss_curve_, *history.train_loss]
            self.validation_loss_curve_ = [*self.validation_loss_curve_, *history.val_loss]
            self.validation_scores_ = [*self.validation_scores_, *history.val_accuracy]
            self.n_iter_ = len(self.loss_curve_)
            self._slots = slots
>>>>>>> main
