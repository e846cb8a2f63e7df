"""When training has diverged, and which weights it leaves."""

import math

import numpy as np

from fastmlp.nn.examples import Examples
from fastmlp.nn.history import State
from fastmlp.nn.trainable import Trainable

# A loss so many times that of the first epoch does not come back. The loss is linear in the logits: where only they are
# too large, at a rate too high for their layer alone, it grows to 1e4 times and falls again (measured on digits, iris
# and wine, rates of 0.1 to 1,000). Where layers drive each other it grows by powers, to the end of the dtype, or until
# no unit answers any more. 1e6 is far from the one, and a few steps on the way of the other.
FAR = 1e6


class Keeper:
    """The weights to leave after training, kept while it goes on, and the test whether it has diverged.

    With validation these are those of the lowest validation loss. Without it they are the last ones, and in case of
    divergence those after the epoch of the lowest training loss. That loss is a mean over an epoch, each batch before
    its step, so that it says nothing of the epoch's last step: such weights count once they were seen to give a finite
    loss, in the epoch after it or in a look of their own.
    """

    def __init__(self, model: Trainable, state: State, train: Examples, held: Examples | None, batch_size: int) -> None:
        """Begin from a state, of new or of resumed training.

        train, held : the examples of training and of validation, None without it. `state.best` holds the weights after
        epoch `self.epoch`, 0 for the initial ones
        """
        self._model, self._state, self._train, self._held = model, state, train, held
        self._batch_size = batch_size
        self._usual = train.spread[0]  # the loss of a network that knows nothing
        self._last = model.parameters.copy() if held is None else None
        history = state.history
        self.epoch, self._least = 0, math.inf if state.began is None else state.began[0]
        for epoch, loss in enumerate(history.train_loss[:-1] if held is None else history.val_loss, start=1):
            if loss < self._least:
                self.epoch, self._least = epoch, loss
        self._first = self.epoch, state.best.copy()

    def is_finite(self) -> bool:
        """Whether all of the network's parameters are finite."""
        w = self._model.parameters
        return math.isfinite(np.dot(w, w)) or bool(np.isfinite(w).all())  # one call, which finite squares answer

    def is_far(self) -> bool:
        """Whether a loss of the latest epoch is not finite, or far above that of the first, see `FAR`."""
        history = self._state.history
        held = self._held
        return self._far(history.train_loss, self._train) or (held is not None and self._far(history.val_loss, held))

    def _far(self, losses: list[float], rows: Examples) -> bool:
        if losses[-1] <= FAR * self._usual:
            return False
        if len(losses) > 1 or not math.isfinite(losses[0]):
            return not losses[-1] <= FAR * losses[0]
        # The first epoch: either the features are this large, or it has diverged already. The first weights tell.
        loss = self._loss_with(self._state.best, rows)
        return not (math.isfinite(loss) and losses[0] <= FAR * loss)

    def take(self) -> None:
        """Consider the weights after an epoch that did not diverge: keep them where their loss is the lowest so far."""
        history, state = self._state.history, self._state
        epoch = len(history.train_loss)
        if self._last is None:
            if history.val_loss[-1] < self._least:
                self.epoch, self._least = epoch, history.val_loss[-1]
                np.copyto(state.best, self._model.parameters)
            return
        if epoch > 1 and history.train_loss[-2] < self._least:  # this epoch has seen that they are sound
            self.epoch, self._least = epoch - 1, history.train_loss[-2]
            np.copyto(state.best, self._last)
        np.copyto(self._last, self._model.parameters)

    def ends_well(self, order: np.ndarray) -> bool:
        """Whether the final weights have a loss on training rows that is finite and not far above that of the first.

        No training row may have been evaluated with them yet.

        order : (M,) int64, the rows in the order in which they are evaluated: as many as a hundredth of training costs,
            and at least 256
        """
        losses = self._state.history.train_loss
        if not losses:
            return True
        enough = max(256, len(losses) * len(order) // 32)
        return not self._far([*losses, self._loss(self._train, order[:enough])], self._train)

    def leave(self) -> int:
        """Set the network, after training without divergence, to the weights to keep; return their epoch."""
        np.copyto(self._model.parameters, self._state.best if self._last is None else self._last)
        return self.epoch if self._last is None else len(self._state.history.train_loss)

    def leave_best(self) -> int:
        """Set the network, after divergence, to the best weights with a loss that is not far on all training rows.

        Where none have such a loss, to those that it began with. Returns their epoch.
        """
        losses, candidates = self._state.history.train_loss, [(self.epoch, self._state.best)]
        if self._last is not None and len(losses) > 1 and losses[-2] < self._least:
            candidates.insert(0, (len(losses) - 1, self._last))
        sound = (pair for pair in candidates if not self._far([losses[0], self._loss_with(pair[1])], self._train))
        epoch, best = next(sound, self._first)
        for kept in (self._state.best, self._model.parameters):
            np.copyto(kept, best)
        return epoch

    def _loss(self, rows: Examples, order: np.ndarray) -> float:
        return self._model.evaluate_on(rows, order, self._batch_size)[0]

    def _loss_with(self, parameters: np.ndarray, rows: Examples | None = None) -> float:
        """Return the mean loss of all rows, those of training where None, with these parameters (P,)."""
        rows = self._train if rows is None else rows
        before = self._model.parameters.copy()
        try:
            np.copyto(self._model.parameters, parameters)
            return self._loss(rows, np.arange(len(rows.inputs)))
        finally:
            np.copyto(self._model.parameters, before)
