"""The multi-layer perceptron: a stack of Dense layers under a loss."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn import kernels as _kernels  # noqa: F401 - refuses those of another version, before any is loaded
from fastmlp.nn.activations import hidden_activations
from fastmlp.nn.blas import Blas
from fastmlp.nn.checks import check_count, check_name, generator, is_whole
from fastmlp.nn.dropout import dropout_of
from fastmlp.nn.engine import Engine, Totals
from fastmlp.nn.examples import Examples, checked_targets, checked_weights
from fastmlp.nn.fit import Validation, fit
from fastmlp.nn.history import FitResult, History
from fastmlp.nn.inputs import ArrayInput, Input, as_input, checked_rows
from fastmlp.nn.layers import Dense, split_parameters
from fastmlp.nn.loss import Loss, loss_named
from fastmlp.nn.optimizer import SGD, Optimizer, check_optimizer
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import Schedule
from fastmlp.nn.slices import Slices
from fastmlp.nn.threads import check_threads, usable_cores
from fastmlp_kernels import _check
from fastmlp_kernels._align import aligned_zeros


class MLP:
    """A multi-layer perceptron: fully connected layers, and a loss that says what its outputs mean.

    layers : sizes from input to output, such as [3072, 128, 20]: two weight layers
    activation : of the hidden layers, a key of `fastmlp.nn.activations.ACTIVATIONS`, or one a hidden layer
    loss : key of `fastmlp.nn.loss.LOSSES`, or one of its records with other settings: "cross-entropy" for classes,
        under a softmax; "logistic" for two classes by one unit, or for several labels; "squared-error", "huber" and
        "poisson" for numbers
    dropout : how often an output of a hidden layer is dropped in training, in [0, 1), one for all or one a hidden
        layer; input_dropout : of an input. What stays is scaled up, so that evaluation changes nothing. What is dropped
        depends on `rng` and on the optimiser's step, not on threads. Dropped inputs are gathered batch by batch
    init : "auto" (He for ReLU, LeCun otherwise) or a key of `fastmlp.nn.initializers.INITIALIZERS`
    precision : "float32", "float64", "bfloat16": both operands of every product rounded to bfloat16, all the rest in
        float32 (weights, sums, activations, loss, update), or "int8": the first layer's products are of uint8 pixels
        as they are and of operands rounded to 8 bits, and those of wide layers above wide ReLU layers (see
        `precision.byte_layers`), all the rest float32; for an `ImageInput` alone
    matmul : "packed", whole steps in this package's compiled code, or "blas", numpy's products; bfloat16 and int8 are
        always "packed". None: "packed"; `runs.autotune` measures which is faster
    threads : of a packed network; all usable cores where None. BLAS takes its own, see `fastmlp.nn.threads`
    rng : generator or seed for the initial weights

    The trained parameters are in `.layers[i].weight` (D, H) and `.bias` (H,), views of the flat array `.parameters`:
    W1, b1, W2, b2, ...; their gradients in `.dweight`, `.dbias` and `.gradient`. Raises ConfigError for settings that
    do not fit. Not safe for use from two threads at once: calls share one set of buffers. `.history` is that of the
    last `fit`, up to where it came.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activation: str | Sequence[str] = "tanh",
        *,
        loss: str | Loss = "cross-entropy",
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        init: str = "auto",
        precision: str = "float32",
        matmul: str | None = None,
        threads: int | None = None,
        rng: np.random.Generator | int = 0,
    ) -> None:
        sizes = tuple(layers) if np.iterable(layers) else ()
        if len(sizes) < 2 or not all(is_whole(size, 1) for size in sizes):
            raise ConfigError(f"layers are {layers!r}, expected two or more positive sizes such as [3072, 128, 20]")
        check_name("precision", precision, PRECISIONS)
        ways, dtype = PRECISIONS[precision].matmuls, np.dtype(PRECISIONS[precision].dtype)
        if matmul not in (None, *ways):
            raise ConfigError(f"matmul is {matmul!r}, allowed for {precision}: {', '.join(ways)}")
        self.loss = loss_named(loss)
        activations = hidden_activations(activation, len(sizes) - 2)
        self.threads = usable_cores() if threads is None else threads
        check_threads(self.threads)
        rng, rates = generator(rng), dropout_of(dropout, input_dropout, len(sizes) - 2)
        if rates.inputs > 0 and precision == "int8":
            raise ConfigError("input_dropout cannot be with precision int8, which multiplies the images' own bytes")
        self.sizes, self.precision, self.matmul, self.dtype = sizes, precision, matmul or ways[0], np.dtype(dtype)
        self.layers = [
            Dense(d, h, own, rng=rng, init=init, dtype=dtype)
            for (d, h), own in zip(pairwise(sizes), [*activations, "identity"], strict=True)
        ]
        own = [array.ravel() for layer in self.layers for array in (layer.weight, layer.bias)]
        self.parameters, self.gradient = (aligned_zeros(sum(array.size for array in own), dtype) for _ in range(2))
        np.concatenate(own, out=self.parameters)
        self.dropout = replace(rates, seed=int(rng.integers(2**64, dtype=np.uint64))) if rates.drops else rates
        self._began_with: np.ndarray | None = None  # what `fit` begins anew from
        self._was_given = False  # whether these were assigned, rather than drawn
        self._left = self._digest()  # of the weights as they were drawn, or as the last `fit` left them
        self.history: History | None = None
        self._slices = Slices()
        self._engine = self._make_engine()

    def _digest(self) -> int:
        return zlib.crc32(self.parameters.data)

    def _make_engine(self) -> Engine:
        own, gradients = (split_parameters(flat, self.sizes) for flat in (self.parameters, self.gradient))
        for layer, arrays, derivatives in zip(self.layers, own, gradients, strict=True):
            layer.live_in(*arrays, *derivatives)
        if self.matmul == "blas":
            return Blas(self.layers, self.parameters, self.gradient, self.loss, self.dropout)
        from fastmlp.nn.packed.engine import Packed  # here: half a second that BLAS networks do not need

        activations = [layer.activation for layer in self.layers]
        flat = self.parameters, self.gradient
        return Packed(self.sizes, activations, (self.loss, self.dropout), flat, self.precision, self.threads)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the engine: threads cannot be copied, and a copy's layers are no views any more."""
        own = {name: value for name, value in self.__dict__.items() if name != "_engine"}
        return own | {"_expected": self._engine.expected}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state.items() if name != "_expected"})
        for name in ("parameters", "gradient"):  # joblib may hand them over as read-only memory maps
            setattr(self, name, np.require(state[name], requirements=["W", "ENSUREARRAY"]))
        self._engine = self._make_engine()
        self._engine.expected = state["_expected"]

    @property
    def engine(self) -> Engine:
        """The engine of its passes, for a loop of one's own over examples that `examples` made."""
        return self._engine

    def expect(self, optimizer: Optimizer) -> None:
        """Share the compiled code of this optimiser's steps in passes that come before one; no result depends on it.

        Else a packed network that only predicts has its code compiled for `SGD`: ten seconds, once on a machine, where
        networks like it were trained by another optimiser. Training remembers its optimiser, and so do copies of the
        network, but no `Model` that is made of it. Raises ConfigError as training does.
        """
        check_optimizer(optimizer, self.dtype)
        if self.matmul == "packed":
            self._engine.expected = optimizer.compiled()

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return self.parameters.size

    def _checked_batch(self, x: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _check.unmasked(x=x)
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.sizes[0] or len(x) == 0:
            raise DataError(f"batch has shape {x.shape}, expected (N, {self.sizes[0]}) with N above 0")
        if x.dtype != self.dtype:
            raise DataError(f"batch has dtype {x.dtype}, this network computes in {self.dtype}: use .astype")
        return np.ascontiguousarray(x), self._checked_targets(targets, len(x))

    def _checked_targets(self, targets: npt.ArrayLike, rows: int) -> np.ndarray:
        return checked_targets(self.loss, targets, rows, self.sizes[-1], self.dtype)

    def loss_and_gradients(self, x: Input | np.ndarray, targets: np.ndarray) -> tuple[float, int]:
        """Forward and backward over one batch; leaves the gradients in each layer's `dweight` and `dbias`.

        x : (N, D) of the network's dtype, or an `ImageInput`; targets : (N,) integers in [0, K), or (N, K) numbers, as
        the loss wants them
        Returns (mean loss, number of correct answers). Raises DataError where they do not fit.
        """
        if isinstance(x, Input):
            return self.gradients_on(self.examples(x, targets))
        return self._engine.gradients(*self._checked_batch(x, targets))

    def gradients_on(self, examples: Examples) -> tuple[float, int]:
        """Forward and backward over all rows of examples that were checked, as one batch; see `loss_and_gradients`."""
        return self._engine.input_gradients(examples)

    def train_step(self, x: np.ndarray, targets: np.ndarray, optimizer: Optimizer) -> tuple[float, int]:
        """One step of the optimiser on one batch; arguments and result as for `loss_and_gradients`.

        The loss is that before the step.
        """
        check_optimizer(optimizer, self.dtype)
        return self._engine.step(*self._checked_batch(x, targets), optimizer)

    def train_epoch(
        self,
        x: Input | np.ndarray,
        targets: np.ndarray,
        optimizer: Optimizer,
        order: np.ndarray,
        batch_size: int = 1024,
    ) -> tuple[float, float]:
        """Take a step on each batch of the rows `order`, the last one smaller: the fast way for a loop of one's own.

        x : (M, D) array or an `ImageInput`; targets : (M,) integers in [0, K), or (M, K) numbers
        order : integers in [0, M)
        Returns (mean loss, score as a fraction, see `Loss.score`), each batch before its step. A batch whose loss is
        not finite is the last one. Raises DataError or ConfigError where the arguments do not fit.
        """
        examples = self.examples(x, targets)
        check_count("batch_size", batch_size)
        check_optimizer(optimizer, self.dtype)
        order = checked_rows("order", order, len(examples.inputs))
        return self.train_on(examples, order, batch_size, optimizer)

    def train_on(
        self,
        examples: Examples,
        order: np.ndarray,
        batch_size: int,
        optimizer: Optimizer,
        on_batch: Callable[[int], None] | None = None,
    ) -> tuple[float, float]:
        """Take a step on each batch of the rows `order` of examples that were checked; see `train_epoch`.

        on_batch(rows done) : called about ten times a second, between batches; what it raises ends the call
        """

        def train(rows: np.ndarray, loss: float) -> Totals:
            return self._engine.train(examples, rows, batch_size, optimizer, loss)

        totals = Totals(0.0, 0, 0)
        for totals in self._slices.run("train", train, order, batch_size):
            if not math.isfinite(totals.loss):
                break
            if on_batch is not None:
                on_batch(totals.rows)
        return self._mean_and_score(examples, totals)

    def _mean_and_score(self, examples: Examples, totals: Totals) -> tuple[float, float]:
        loss = (totals.loss + totals.penalty) / totals.rows
        return loss, self.loss.score_of(totals.loss / totals.rows, totals.correct / totals.rows, examples.spread)

    def fit(
        self,
        x: Input | np.ndarray,
        targets: np.ndarray,
        *,
        sample_weight: npt.ArrayLike | None = None,
        validation: Validation | None = None,
        optimizer: Optimizer | None = None,
        epochs: int = 100,
        batch_size: int = 1024,
        patience: int = 5,
        stopping: str = "rises",
        schedule: str | Schedule = "constant",
        warm_start: bool = False,
        rng: np.random.Generator | int = 0,
        on_epoch: Callable[[int, History], bool | None] | None = None,
    ) -> FitResult:
        """Train with mini-batches; see `fastmlp.nn.fit.fit` for the arguments. The optimiser is `SGD()` by default.

        warm_start : whether to train on from the present weights

        Without it, a further call begins anew: from the weights that the first call began with, whatever these became.
        Weights that were assigned, or trained by other means, since they were drawn or since the last call, are not
        thrown away: this call begins with them, and those after it anew from them. The velocity begins at zero in each
        call. With a validation set, weights that were not just drawn are kept where no epoch has a lower loss.
        """
        given = self._digest() != self._left
        goes_on = warm_start and self._began_with is not None
        if given or self._began_with is None:
            self._began_with, self._was_given = self.parameters.copy(), given
        options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "patience": patience}
        options |= {"stopping": stopping, "schedule": schedule, "on_epoch": on_epoch, "rng": rng}
        options |= {"sample_weight": sample_weight, "validation": validation}
        options |= {"start": None if goes_on else self._began_with, "keep_start": goes_on or self._was_given}
        try:
            return fit(self, x, targets, optimizer=SGD() if optimizer is None else optimizer, **options)
        finally:
            self._left = self._digest()

    def examples(
        self, x: Input | np.ndarray, targets: np.ndarray, sample_weight: npt.ArrayLike | None = None
    ) -> Examples:
        """Return rows with their targets and weights, checked for this network: what `train_on` takes.

        x : (M, D) array or an `ImageInput`; targets : (M,) integers in [0, K), or (M, K) numbers
        sample_weight : (M,) numbers from 0 on, scaled to a mean of 1. Raises DataError where they do not fit.
        """
        inputs = self._checked_input(x)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(inputs), self.dtype)
        targets = self._checked_targets(targets, len(inputs))
        return Examples(inputs, targets, weights, self.loss.spread_of(targets, weights, self.sizes[-1]))

    def _checked_input(self, x: Input | np.ndarray) -> Input:
        inputs = as_input(x)
        if isinstance(inputs, ArrayInput):
            inputs.check_fits(self.dtype)
        if len(inputs) == 0:
            raise DataError("inputs have no rows, expected at least one")
        if inputs.features != self.sizes[0]:
            raise DataError(f"inputs have {inputs.features} features, this network takes {self.sizes[0]}")
        return inputs

    def evaluate(
        self,
        x: Input | np.ndarray,
        targets: np.ndarray,
        batch_size: int = 1024,
        *,
        sample_weight: npt.ArrayLike | None = None,
    ) -> tuple[float, float]:
        """Mean loss and score (`Loss.score`: of classes the accuracy as a fraction), over all rows of x.

        x : (M, D) array or an `ImageInput`; targets : (M,) integers in [0, K), or (M, K) numbers
        sample_weight : (M,) numbers from 0 on: the loss is the weighted mean; the accuracy is not weighted
        """
        examples = self.examples(x, targets, sample_weight)
        check_count("batch_size", batch_size)
        return self.evaluate_on(examples, np.arange(len(examples.inputs)), batch_size)

    def evaluate_on(self, examples: Examples, order: np.ndarray, batch_size: int) -> tuple[float, float]:
        """Mean loss and score of the rows `order`, at least one, of examples that were checked."""

        def evaluate(rows: np.ndarray, loss: float) -> Totals:
            return self._engine.evaluate(examples, rows, batch_size, loss)

        *_, totals = self._slices.run("evaluate", evaluate, order, batch_size)
        return self._mean_and_score(examples, totals)

    def outputs(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Return what the loss makes of the logits, (M, K): `predict_proba`, or numbers, for x as in there."""
        return self._of_logits(x, batch_size, self.loss.output_kernel)

    def predict_proba(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Probability of each class or label, (M, K), for x an (M, D) array or an `ImageInput`.

        Raises ConfigError for a network of numbers, DataError where it overflows.
        """
        self._check_probabilities()
        return self.outputs(x, batch_size)

    def predict_log_proba(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Logarithm of `predict_proba`, of the logits themselves: exact where a probability rounds to 0 or 1."""
        self._check_probabilities()
        return self._of_logits(x, batch_size, self.loss.log_output_kernel)

    def predict(self, x: Input | np.ndarray, batch_size: int = 1024) -> np.ndarray:
        """Answer for each row: of classes the most probable one, (M,) int64; of labels whether each holds, as 0 or 1.

        Of numbers these, in the network's dtype. Labels and numbers are (M, K), but (M,) of a single output. Raises
        DataError where it overflows.
        """
        outputs = self.outputs(x, batch_size)
        if self.loss.of_classes:
            return outputs.argmax(axis=1)
        if self.loss.of_probabilities:
            outputs = (outputs > 0.5).astype(np.int64)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _check_probabilities(self) -> None:
        if not self.loss.of_probabilities:
            raise ConfigError(f"a network with loss {self.loss.name} gives numbers, no probabilities: use predict")

    def _of_logits(
        self, x: Input | np.ndarray, batch_size: int, kernel: Callable[[np.ndarray, np.ndarray], None]
    ) -> np.ndarray:
        """Return kernel(logits, out)'s result for each row of x, (M, K); DataError unless it is finite."""
        check_count("batch_size", batch_size)
        few = self._engine.few_logits(x) if type(x) is np.ndarray else None
        if few is not None:
            kernel(few, few)
            if math.isfinite(np.vdot(few, few)):  # else there is something to tell, maybe
                return few
        inputs = self._checked_input(x)
        out = np.empty((len(inputs), self.sizes[-1]), self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told below
            for start, logits in self._engine.logits(inputs, batch_size):
                logits += self.layers[-1].bias
                kernel(logits, out[start : start + len(logits)])
            finite = math.isfinite(out.sum(dtype=np.float64)) or np.isfinite(out).all()
        if not finite:
            row = int(np.argmin(np.isfinite(out).all(axis=1)))
            raise DataError(
                f"the outputs of row {row} overflow {self.dtype}: scale inputs as those that the network learnt from "
                "were, to about 1 each; where its weights are not finite themselves, train it anew with a lower lr"
            )
        return out
