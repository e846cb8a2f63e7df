"""What the classifier and the regressor have in common: parameters, and the way from rows to a trained network."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from numbers import Integral, Real
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import ACTIVATIONS, ALIASES
from fastmlp.nn.checks import check_function
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.examples import Examples
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult, History, State
from fastmlp.nn.initializers import INITIALIZERS
from fastmlp.nn.loss import Loss
from fastmlp.nn.moments import Moments
from fastmlp.nn.network import MLP
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import SCHEDULES, Schedule
from fastmlp.nn.stopping import STOPPING
from fastmlp.sklearn.checks import hidden_units, optimizer_of, restored, warn_of
from fastmlp.sklearn.names import refuse
from fastmlp.sklearn.rows import Rows, split
from fastmlp.sklearn.watch import OnEpoch, both, shown
from fastmlp_kernels import _check


def above_0() -> Interval:
    """Return the constraint of a number above 0."""
    return Interval(Real, 0, None, closed="neither")


class Estimator(BaseEstimator):
    """The base of both estimators: it standardises rows, trains a network, and says what happened.

    A subclass has the parameters, and what follows from its targets: the abstract methods.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS, *ALIASES}), list, tuple],
        "init": [StrOptions({"auto", *INITIALIZERS})],
        "standardize": [StrOptions({"auto"}), "boolean"],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [StrOptions({"auto"}), above_0()],
        "schedule": [StrOptions(set(SCHEDULES)), Schedule],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "betas": [list, tuple],
        "epsilon": [above_0()],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "decay_per": [StrOptions(set(DECAY_PER))],
        "clip_norm": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "stopping": [StrOptions(set(STOPPING))],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"auto", *PRECISIONS} - {"int8"})],  # int8 is for images alone
        "threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": [StrOptions({"auto"}), "verbose"],
    }
    hidden_layer_sizes: Sequence[int] | int
    activation: str | Sequence[str]
    init: str
    standardize: bool | str
    batch_size: int | str
    optimizer: str
    learning_rate_init: float | str
    schedule: str | Schedule
    momentum: float
    betas: Sequence[float]
    epsilon: float
    weight_decay: float
    decay_per: str
    clip_norm: float
    dropout: float | Sequence[float]
    input_dropout: float
    max_iter: int
    early_stopping: bool
    patience: int
    stopping: str
    validation_fraction: float
    random_state: int | np.random.RandomState | None
    warm_start: bool
    precision: str
    threads: int | None
    verbose: bool | int | str

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Refuse names before `__init__` is called, whose signature says what parameters there are."""
        refuse(given, cls._get_param_names())
        return super().__new__(cls)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as scikit-learn does; ConfigError for a name that only it has."""
        refuse(params, self._get_param_names())
        return super().set_params(**params)

    @abstractmethod
    def _loss(self) -> Loss:
        """Return the loss, by the parameters."""

    @abstractmethod
    def _checked(self, X: Any, y: Any, sample_weight: Any, dtype: Any, *, reset: bool) -> Rows:
        """Return rows, checked, without those of weight 0; dtype : of X, and reset : as `validate_data` has them."""

    @abstractmethod
    def _coding(self, rows: Rows, goes_on: bool) -> Any:
        """Return what the network's outputs stand for; goes_on : whether it is that of the call before.

        It has `outputs`, the number of units, and `encoded`, of rows, which returns them with the targets that the
        network learns and the weights that they then have.
        """

    @abstractmethod
    def _begin_coding(self, coding: Any) -> None:
        """Keep what a new network's outputs stand for."""

    @abstractmethod
    def _constant_loss(self, train: Rows, examples: Examples, loss: Loss) -> float:
        """Return the mean loss, of the network's kind, of the best constant answer to the training rows."""

    def _scales_targets(self) -> bool:
        """Whether the network's targets are standardised."""
        return False

    def _unfold(self, network: MLP) -> None:
        """Let a network's outputs be those of the targets as they are given, in place."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *,
        X_val: Any = None, y_val: Any = None, sample_weight_val: Any = None, on_epoch: OnEpoch | None = None,
    ) -> Self:  # fmt: skip
        """Train on rows X (M, D) with targets y, (M,) or, of a regressor, (M, K); return the estimator.

        sample_weight : (M,) numbers from 0 on, how much each row counts in the loss; those of weight 0 are left out
        X_val, y_val, sample_weight_val : rows to validate on after each epoch, which then choose the weights that are
            kept, those of the lowest loss. `early_stopping` says whether they also end training
        on_epoch(epoch, history) : called after each epoch, counted from 1 in this call, with the
            `fastmlp.nn.history.History` of this call; True ends training. It is no parameter, as clones and pickles
            keep those, and not each function can be pickled
        """
        before = dict(vars(self))
        masks = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        _check.unmasked(X=X, y=y, sample_weight=sample_weight, **masks)  # scikit-learn's own checks pass over them
        with restored(self, before, BaseException):
            check_function("on_epoch", on_epoch)
            if (X_val is None) != (y_val is None):
                raise ConfigError("X_val and y_val belong together: give both or neither")
            if X_val is None and sample_weight_val is not None:
                raise ConfigError("sample_weight_val is of the rows X_val, which are not given")
            goes_on = self.warm_start and hasattr(self, "_network")
            rows = self._checked(X, y, sample_weight, self._dtype(goes_on), reset=not goes_on)
            coding = self._coding(rows, goes_on)
            train, held = coding.encoded(rows), None
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            if X_val is not None:
                held = coding.encoded(self._checked(X_val, y_val, sample_weight_val, train.X.dtype, reset=False))
            elif self.early_stopping:
                train, held = split(train, self.validation_fraction, seed, by_class=self._loss().of_classes)
            if not goes_on:
                self._begin(train, coding, seed)
            self._memory = None
            train, held = self._scaled(train), None if held is None else self._scaled(held)
        with restored(self, before, Exception):
            patience = self.patience if self.early_stopping else self.max_iter
            with shown(self.verbose, self.max_iter) as (after_epoch, on_batch):
                result = self._train(
                    train, held, goes_on, epochs=self.max_iter, patience=patience,
                    on_epoch=both(on_epoch, after_epoch), on_batch=on_batch,
                )  # fmt: skip
            examples = self._network.examples(*train)
            usual = self._constant_loss(train, examples, self._network.loss)
            loss, _ = self._network.evaluate_on(examples, np.arange(len(train.X)), self._batch_size(train))
        warn_of(result, scaled=bool(self.standardize), loss=loss, usual=usual)
        return self

    @property
    def network_(self) -> MLP:
        """The trained network, of rows and targets as they are given: what standardises them is folded into it.

        Where nothing is standardised, it is the network that is trained. Else it is another one, which the next call of
        `fit` or `partial_fit` leaves behind.
        """
        if self._moments is None and not self._scales_targets():
            return self._network
        if self._folded is None:
            folded = deepcopy(self._network)
            if self._moments is not None:
                self._moments.fold_into(folded.layers[0])
            self._unfold(folded)
            self._folded = folded
        return self._folded

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_folded")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock(), _folded=None)

    def _dtype(self, goes_on: bool) -> Any:
        if goes_on:
            return self._network.dtype
        if self.precision == "auto":
            return [np.float64, np.float32]  # what X has of these; the first one for all else
        return np.dtype(PRECISIONS[self.precision].dtype).type

    def _batch_size(self, rows: Rows) -> int:
        count = len(rows.y)
        size = min(max(count // 50, 32), 200) if isinstance(self.batch_size, str) else self.batch_size  # "auto"
        return min(size, count)

    def _begin(self, train: Rows, coding: Any, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        moments = Moments.of(train.X, train.weights)
        if self.standardize == "auto":
            self._moments = None if moments.are_standard else moments.in_one_unit
        else:
            self._moments = moments if self.standardize else None
        sizes = [train.X.shape[1], *hidden_units(self.hidden_layer_sizes), coding.outputs]
        precision = train.X.dtype.name if self.precision == "auto" else self.precision
        self._network = MLP(
            sizes, self.activation, loss=self._loss(), dropout=self.dropout, input_dropout=self.input_dropout,
            init=self.init, precision=precision, threads=self.threads, rng=self._rng,
        )  # fmt: skip
        self._memory: tuple[np.ndarray, int] | None = None  # of the optimiser: its slots and steps
        self._folded: MLP | None = None
        self._lock = Lock()
        self._begin_coding(coding)
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []

    def _scaled(self, rows: Rows) -> Rows:
        return rows if self._moments is None else rows._replace(X=self._moments.standardised(rows.X))

    def _train(self, train: Rows, held: Rows | None, goes_on: bool, **options: Any) -> FitResult:
        """Train the network on encoded, standardised rows, and take down the curves; options : of `nn.fit.fit`."""
        network, optimizer = self._network, optimizer_of(self)
        memory = optimizer.memory_of(network.parameters)
        if self._memory is not None and self._memory[0].shape == memory.slots.shape:  # else it is of another optimiser
            memory.slots[...], memory.steps = self._memory
        generator = self._rng.bit_generator.state
        begun = State(
            History(), network.parameters, memory.slots, network.parameters, generator, 0.0, steps=memory.steps
        )
        network.history, kept = None, network.parameters.copy()
        try:
            return fit(
                network, train.X, train.y, sample_weight=train.weights, validation=held, optimizer=optimizer,
                batch_size=self._batch_size(train), stopping=self.stopping, schedule=self.schedule, rng=self._rng,
                keep_start=goes_on, resume=begun, **options,
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
            self._memory, self._folded = (memory.slots, memory.steps), None


def fit_part(
    estimator: Estimator, X: Any, y: Any, sample_weight: Any, coding_of: Callable[[Rows, bool], Any]
) -> FitResult:
    """Train an estimator for the one epoch of `partial_fit`; coding_of : as its own `_coding`."""
    before = dict(vars(estimator))
    _check.unmasked(X=X, y=y, sample_weight=sample_weight)
    with restored(estimator, before, BaseException):
        if estimator.early_stopping:
            raise ConfigError("partial_fit is one epoch and cannot stop early: set early_stopping=False")
        goes_on = hasattr(estimator, "_network")
        rows = estimator._checked(X, y, sample_weight, estimator._dtype(goes_on), reset=not goes_on)
        coding = coding_of(rows, goes_on)
        train = coding.encoded(rows)
        if not goes_on:
            estimator._begin(train, coding, check_random_state(estimator.random_state).randint(2**31 - 1))
        train = estimator._scaled(train)
    with restored(estimator, before, Exception):
        return estimator._train(train, None, goes_on, epochs=1, patience=1)


def outputs_of(estimator: Estimator, X: Any, ask: Callable[[MLP, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what an estimator's network says of rows X (M, D) of real numbers, (M, K) of its dtype.

    ask : the network's method
    """
    check_is_fitted(estimator)
    _check.unmasked(X=X)
    X = validate_data(estimator, X, dtype=estimator._network.dtype, order="C", reset=False)
    with estimator._lock:  # a network has one set of buffers
        return ask(estimator._network, X if estimator._moments is None else estimator._moments.standardised(X))
