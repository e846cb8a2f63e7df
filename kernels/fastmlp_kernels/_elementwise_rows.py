"""Losses of each output by itself over a block of rows: bias, value, gradient and bias gradient in one pass.

Sizes: `N` rows, `K` outputs. A row's loss is the sum over its outputs. All arrays are of one dtype, float32 or float64.

Many rows are one long run against the bias repeated, so that vectors are full whatever K is, which is often 1.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from fastmlp_kernels._exponentials import Maybe
from fastmlp_kernels._jit import part, reduction
from fastmlp_kernels._loss_table import CODES, LOSSES, Criterion
from fastmlp_kernels._scratch import release, work_array
from fastmlp_kernels._sums import add_to_total, begin_total, sum_rows
from fastmlp_kernels._views import fill, matrix_at, row_at, vector_at

LOGISTIC = CODES["logistic"]
# Work arrays of a run: of each of its outputs the bias, the row's weight, the value.
BIAS, WEIGHT, VALUE, ARRAYS = (cast("int", np.int64(i)) for i in range(4))  # no literals, see `gemm.panels`
# Elements of a run. What is summed of one, in float64 and in vector lanes, does not drift.
RUN = 1024


@part
def _no_loss(
    run: np.ndarray, targets: np.ndarray, work: np.ndarray, dbias: Maybe, criterion: Criterion, share: float
) -> None:
    pass


def _loops(names: Sequence[str]) -> Any:
    """Return the loop over a run, for a loss whose code is of one of these names.

    It has of each output the bias, the row's weight and room for the value in `work`, and takes dbias to ask whether
    there is to be a gradient, which is multiplied by `share`.
    """
    if not names:
        return _no_loss
    own, (value1, slope1) = CODES[names[0]], LOSSES[names[0]]
    other = _loops(names[1:])

    @part
    def loop(
        run: np.ndarray, targets: np.ndarray, work: np.ndarray, dbias: Maybe, criterion: Criterion, share: float
    ) -> None:
        if criterion.code == own:
            t = run.dtype.type
            keep, spread = t(1 - criterion.smoothing), t(0.5 * criterion.smoothing)
            parameter, low, high = t(criterion.parameter), t(criterion.low), t(criterion.high)
            bias, weights, values = row_at(work, BIAS), row_at(work, WEIGHT), row_at(work, VALUE)
            for j in range(run.size):
                z, target = run[j] + bias[j], targets[j] * keep + spread
                value = value1(z, target, parameter)
                value = low if value < low else value  # a NaN passes
                values[j] = high if value > high else value
                if dbias is not None:
                    run[j] = slope1(z, target, parameter) * (weights[j] * share)
        else:
            other(run, targets, work, dbias, criterion, share)

    return loop


@reduction
def _weighted_sum(values: np.ndarray, weights: np.ndarray) -> float:
    total = np.float64(0)
    for j in range(values.size):
        total += np.float64(values[j]) * np.float64(weights[j])
    return total


@reduction
def _right(run: np.ndarray, bias: np.ndarray, targets: np.ndarray) -> int:
    """Return how many outputs of a run are on the side of their targets; NaN is on neither."""
    t = run.dtype.type
    right = 0
    for j in range(run.size):
        z = run[j] + bias[j]
        right += ((z > t(0)) == (targets[j] > t(0.5))) & (z == z) & (targets[j] == targets[j])
    return right


@part
def _right_rows(run: np.ndarray, bias: np.ndarray, targets: np.ndarray, columns: int) -> int:
    """Return how many rows of a run have all their outputs on the side of their targets."""
    if columns == 1:
        return _right(run, bias, targets)
    rows = 0
    for at in range(0, run.size, columns):
        wanted = vector_at(targets, at, columns)
        rows += _right(vector_at(run, at, columns), vector_at(bias, 0, columns), wanted) == columns
    return rows


def of_rows(*names: str) -> Any:
    """Return the pass over a block of rows, for a loss whose code is of one of these names."""
    loss_of_run = _loops(names)

    @part
    def elementwise_of_rows(
        z: np.ndarray,
        bias: np.ndarray,
        targets: np.ndarray,
        weights: Maybe,
        dbias: Maybe,
        criterion: Criterion,
        total: float,
    ) -> tuple[float, int]:
        """Return these rows' part of a batch's loss, and how many are correct; in place, the gradient.

        z : (N, K) float32 or float64, overwritten with the loss's gradient by them, unless dbias is None
        bias : (K,); targets : (N, K); weights : (N,) factors of the rows' losses, None or empty for ones; all of z's
            dtype
        dbias : (K,) <- column sums of the gradient; None for no gradient
        criterion : the loss, of code `CODES[name]`, and its settings
        total : what the sum over all rows of the batch is divided by: their number, or the sum of their weights

        Correct, for "logistic", is a row whose every output is on the side of its target, z > 0 for t > 0.5; for the
        others none is.
        """
        t = z.dtype.type
        n, columns = z.shape
        rows, share = max(1, min(n, RUN // columns)), t(1) / t(total)
        memory = work_array(z, ARRAYS * rows * columns + columns)
        if memory.size == 0:
            raise MemoryError("there is no memory for a row of outputs")
        work, excess = matrix_at(memory, 0, ARRAYS, rows * columns), vector_at(memory, ARRAYS * rows * columns, columns)
        for r in range(rows):
            for k in range(columns):
                work[BIAS, r * columns + k] = bias[k]
        fill(row_at(work, WEIGHT), 1)
        loss, correct = 0.0, 0
        if dbias is not None:
            begin_total(dbias, excess)
        for start in range(0, n, rows):
            count, at = min(rows, n - start), start * columns
            run, wanted = vector_at(z, at, count * columns), vector_at(targets, at, count * columns)
            if weights is not None:
                for r in range(min(count, weights.size)):
                    fill(vector_at(work, (WEIGHT * rows + r) * columns, columns), weights[start + r])
            if criterion.code == LOGISTIC:
                correct += _right_rows(run, row_at(work, BIAS), wanted, columns)
            loss_of_run(run, wanted, work, dbias, criterion, share)
            values = vector_at(work, VALUE * rows * columns, run.size)
            loss += _weighted_sum(values, row_at(work, WEIGHT))
            if dbias is not None:
                add_to_total(dbias, excess, sum_rows(matrix_at(z, at, count, columns), values))
        release(memory)
        return loss / total, correct

    return elementwise_of_rows


# For a compiled run that is told its loss.
elementwise_of_rows = of_rows(*LOSSES)
