"""scikit-learn's `MLPClassifier` and `MLPRegressor`, trained by this package's compiled code.

They are subclasses, so parameters, checks, attributes, messages, scores and predictions are scikit-learn's own.
Replaced are the loop over epochs and batches and the gradient that L-BFGS asks for. Given the same `random_state` they
draw the same numbers in the same order: weights, batches and the validation set are the same, and the loss curve is the
same but for rounding. An estimator at rest holds nothing but what scikit-learn's would, and is pickled so.

Sparse rows are made dense a few batches at a time; L-BFGS on such rows, settings that this package's optimisers do not
take, and targets that are no numbers, or below 0 of Poisson's loss, are left to scikit-learn's own loop.

What scikit-learn does not have in public, and this rests on, is named and checked in `private`.
"""

import warnings
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import _multilayer_perceptron as sklearn

from fastmlp.errors import ConfigError
from fastmlp.sklearn import private
from fastmlp.sklearn.training import Training

private.check()

# Numbers in X up to which `predict` checks them by itself: for more, scikit-learn's checks do not count.
FEW = 10_000


def _check_totals(weights: np.ndarray, batch_size: int) -> None:
    """Raise, as numpy's `average` does, where the weights (N,) of a batch have the sum 0; any float dtype."""
    if not np.add.reduceat(weights, np.arange(0, len(weights), batch_size)).all():
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")


class _Compiled(sklearn.BaseMultilayerPerceptron):
    """The part that both estimators share."""

    _label_binarizer: Any

    def __getstate__(self) -> dict[str, Any]:
        """Return the state, which is scikit-learn's: the network is made anew of `coefs_` and `intercepts_`."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_training"}

    def _own_training(self) -> Training:
        """Return the network whose parameters `coefs_` and `intercepts_` are, made anew where they are not."""
        training: Training | None = vars(self).get("_training")
        kind = self.activation, self.out_activation_
        if (
            training is None
            or kind != (training.activation, training.output)
            or not training.is_of(self.coefs_, self.intercepts_)
        ):
            training = self._training = Training(self.coefs_, self.intercepts_, *kind)
            # in place: `_best_coefs` is the same list after early stopping, and changes along with it
            self.coefs_[:], self.intercepts_[:] = training.coefs, training.intercepts
        return training

    def _fit_stochastic(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
        layer_units: Any,
        incremental: bool,
    ) -> None:
        unread = activations, deltas, coef_grads, intercept_grads, layer_units
        if self._is_unusual(y):
            super()._fit_stochastic(X, y, sample_weight, *unread, incremental)
            return
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        training = self._own_training()
        fresh = not (incremental and hasattr(self, "_optimizer"))
        optimizer = self._new_optimizer() if fresh else self._optimizer
        try:
            training.step_as(optimizer, self.alpha)
        except ConfigError:  # such as a momentum of 1, which this package's steps do not take
            del self._training
            super()._fit_stochastic(X, y, sample_weight, *unread, incremental)
            return
        self._optimizer = optimizer
        (X, y, sample_weight), held = self._held_out(X, y, sample_weight)
        rows = X.shape[0]
        batch_size, order = self._batch_rows(rows), np.arange(rows)
        examples = training.examples(X, y, sample_weight)
        try:
            self.n_iter_ = 0
            for _ in range(self.max_iter):
                if self.shuffle:
                    order = self._shuffled(order)
                if sample_weight is not None:
                    _check_totals(sample_weight[order], batch_size)
                self.loss_ = training.epoch(examples, order, batch_size)
                self.n_iter_ += 1
                self.t_ += rows
                if self._ends(held) or incremental:
                    break
            else:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
        if not (incremental or self.warm_start):
            del self._training  # whose packed copies and work arrays are for going on

    def _ends(self, held: tuple[Any, Any, Any]) -> bool:
        """Note an epoch's loss, as scikit-learn does, and return whether it was the last one; held : to validate on."""
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        self._update_no_improvement_count(self.early_stopping, *held)
        self._optimizer.iteration_ends(self.t_)
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change:d} consecutive epochs."
        if self._optimizer.trigger_stopping(message, self.verbose):
            return True
        self._no_improvement_count = 0
        return False

    def _fit_lbfgs(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
        layer_units: Any,
    ) -> None:
        unread = activations, deltas, coef_grads, intercept_grads, layer_units
        if issparse(X) or self._is_unusual(y):  # all sparse rows at once may be too many when dense
            super()._fit_lbfgs(X, y, sample_weight, *unread)
            return
        self._gradients: list[Any] = []  # for `_backprop`: a network, and its examples
        try:
            super()._fit_lbfgs(X, y, sample_weight, *unread)
        finally:
            del self._gradients

    def _backprop(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        activations: Any,
        deltas: Any,
        coef_grads: Any,
        intercept_grads: Any,
    ) -> tuple[float, list[Any], list[Any]]:
        made = vars(self).get("_gradients")
        if made is None:  # called by no fit, or by one of sparse rows
            return super()._backprop(X, y, sample_weight, activations, deltas, coef_grads, intercept_grads)
        if not made:  # SciPy's parameters are in X's dtype as a rule, in older ones in float64
            training = Training(self.coefs_, self.intercepts_, self.activation, self.out_activation_)
            made += training, training.examples(np.ascontiguousarray(X, training.dtype), y, sample_weight)
        training, examples = made
        training.load(self.coefs_, self.intercepts_)
        return training.gradients(examples, self.alpha)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if check_input and not self._is_checked(X):
            X = sklearn.validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return super()._forward_pass_fast(X, check_input=False)

    def _is_checked(self, X: Any) -> bool:
        """Whether X (N, D) is a small array in which scikit-learn's checks, far slower than the pass, find nothing."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and 0 < X.size <= FEW
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and X.dtype == self.coefs_[0].dtype
            and not hasattr(self, "feature_names_in_")  # scikit-learn warns where X has none
            and bool(np.isfinite(X).all())
        )

    def _is_unusual(self, y: Any) -> bool:
        """Whether scikit-learn has an error, or NaN as the loss, of targets y (N, K), and compiled code has not."""
        return y.dtype.kind not in "biuf" or (self.out_activation_ == "exp" and y.min() < 0)

    def _new_optimizer(self) -> Any:
        """Return scikit-learn's optimiser of this estimator's solver, at its start."""
        parameters = self.coefs_ + self.intercepts_
        if self.solver == "sgd":
            rates = self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
            return sklearn.SGDOptimizer(parameters, *rates)
        return sklearn.AdamOptimizer(parameters, self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _held_out(self, X: Any, y: Any, sample_weight: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
        """Return (X, y, weights) to train on, and the same to validate on, None each without early stopping."""
        if not self.early_stopping:
            return (X, y, sample_weight), (None, None, None)
        arrays = [X, y] if sample_weight is None else [X, y, sample_weight]
        one_label = sklearn.is_classifier(self) and self.n_outputs_ == 1
        parts: Any = sklearn.train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if one_label else None,
        )
        (X, X_val), (y, y_val), *weights = zip(parts[::2], parts[1::2], strict=True)
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if sklearn.is_classifier(self):
            y_val = self._label_binarizer.inverse_transform(y_val)
        own, other = weights[0] if weights else (None, None)
        return (X, y, own), (X_val, y_val, other)

    def _batch_rows(self, rows: int) -> int:
        """Return the rows of a batch, of so many rows."""
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=3
            )
        return min(self.batch_size, rows)

    def _shuffled(self, order: np.ndarray) -> np.ndarray:
        """Return `sklearn.utils.shuffle(order, random_state=self._random_state)`, (N,) int64, without its checks."""
        moved = np.arange(len(order))
        self._random_state.shuffle(moved)
        return order[moved]


class MLPClassifier(_Compiled, sklearn.MLPClassifier):
    """`sklearn.neural_network.MLPClassifier`, with its parameters, attributes and results, trained by compiled code.

    See there for all of them. Loss curves agree to rounding; training takes as many threads as BLAS would, with the
    same bits for any number.
    """

    def _predict(self, X: Any, check_input: bool = True) -> Any:
        # what the label binarizer does where it takes part, which for a row takes it longer than the network
        if self.out_activation_ == "softmax":
            return self.classes_[self._forward_pass_fast(X, check_input).argmax(axis=1)]
        if self.n_outputs_ == 1 and len(self.classes_) == 2:
            return self.classes_[(self._forward_pass_fast(X, check_input).ravel() > 0.5).astype(int)]
        return super()._predict(X, check_input)


class MLPRegressor(_Compiled, sklearn.MLPRegressor):
    """`sklearn.neural_network.MLPRegressor`, with its parameters, attributes and results, trained by compiled code.

    See there for all of them, and `MLPClassifier` for what differs.
    """
