"""The fastest float32 numpy that was found for the kernels whose in-place form (`bench.inplace`) it beats.

Sigmoid through tanh (numpy's float32 exp takes longer), at the price of the precision of small results; column and row
sums as products with ones, which BLAS does; a few classes turned on their side so that numpy's inner loops run along
the batch. Blocking by rows to stay in cache lost to the calls it costs in all of them.
"""

import numpy as np

from bench.inplace import ONE, ZERO, Array, Scratch

HALF = np.float32(0.5)
FEW_CLASSES = 64  # below it numpy's passes along a row cost more than turning the array


def bias_sigmoid(z: Array, bias: Array, s: Scratch) -> None:
    np.multiply(z, HALF, out=z)
    np.multiply(bias, HALF, out=s.row)
    np.add(z, s.row, out=z)
    np.tanh(z, out=z)
    np.multiply(z, HALF, out=z)
    np.add(z, HALF, out=z)


def sigmoid(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    np.multiply(x, HALF, out=out)
    np.tanh(out, out=out)
    np.multiply(out, HALF, out=out)
    np.add(out, HALF, out=out)


def tanh_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.multiply(h, h, out=s.full)
    np.subtract(ONE, s.full, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.matmul(s.ones_n, delta, out=dbias)


def sigmoid_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.subtract(ONE, h, out=s.full)
    np.multiply(s.full, h, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.matmul(s.ones_n, delta, out=dbias)


def relu_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.greater(h, ZERO, out=s.flags)
    np.multiply(delta, s.flags, out=delta)
    np.matmul(s.ones_n, delta, out=dbias)


def identity_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:  # noqa: ARG001
    np.matmul(s.ones_n, delta, out=dbias)


def _exponentials(logits: Array, bias: Array, s: Scratch) -> tuple[Array, Array, int]:
    """Return z less each row's largest, room for its exponentials, and the axis of the classes in both."""
    if logits.shape[1] < FEW_CLASSES:
        z, axis = s.turned, 0
        np.copyto(z, logits.T)
        np.add(z, bias[:, None], out=z)
        np.max(z, axis=0, out=s.column)
        np.subtract(z, s.column, out=z)
    else:
        z, axis = s.full, 1
        np.add(logits, bias, out=z)
        np.max(z, axis=1, out=s.column)
        np.subtract(z, s.column[:, None], out=z)
    return z, z, axis


def _loss(logits: Array, bias: Array, labels: Array, s: Scratch) -> tuple[float, int, Array, int]:
    z, e, axis = _exponentials(logits, bias, s)
    picked = z[labels, s.rows] if axis == 0 else z[s.rows, labels]
    np.exp(z, out=e)
    np.matmul(s.ones_h, e, out=s.column) if axis == 0 else np.matmul(e, s.ones_h, out=s.column)
    loss = (np.log(s.column).sum() - picked.sum()) / len(labels)
    return float(loss), int(np.count_nonzero(picked == ZERO)), e, axis


def softmax_cross_entropy(logits: Array, bias: Array, labels: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    loss, correct, e, axis = _loss(logits, bias, labels, s)
    one_nth = np.float32(1 / len(labels))
    np.divide(one_nth, s.column, out=s.column)
    if axis == 0:
        np.multiply(e, s.column, out=e)
        np.copyto(logits, e.T)
    else:
        np.multiply(e, s.column[:, None], out=logits)
    logits[s.rows, labels] -= one_nth
    np.matmul(s.ones_n, logits, out=dbias)
    return loss, correct


def softmax_cross_entropy_eval(logits: Array, bias: Array, labels: Array, s: Scratch) -> tuple[float, int]:
    return _loss(logits, bias, labels, s)[:2]


def bias_softmax(logits: Array, bias: Array, s: Scratch) -> None:
    z, e, axis = _exponentials(logits, bias, s)
    np.exp(z, out=e)
    np.matmul(s.ones_h, e, out=s.column) if axis == 0 else np.matmul(e, s.ones_h, out=s.column)
    np.reciprocal(s.column, out=s.column)
    if axis == 0:
        np.multiply(e, s.column, out=e)
        np.copyto(logits, e.T)
    else:
        np.multiply(e, s.column[:, None], out=logits)


def softmax(x: Array, out: Array, s: Scratch) -> None:
    np.copyto(out, x)
    bias_softmax(out, s.zeros_h, s)


def accurate_sum(x: Array, out: Array, s: Scratch) -> None:
    np.matmul(x, s.ones_h, out=out)  # in float32: fast, and less accurate


def accurate_mean(x: Array, out: Array, s: Scratch) -> None:
    accurate_sum(x, out, s)
    np.divide(out, np.float32(x.shape[1]), out=out)


def image_moments(images: Array, channels: int, mean: Array, inv_std: Array, s: Scratch) -> None:
    np.copyto(s.full, images)
    pixels = s.full.reshape(-1, images.shape[1] // channels)
    np.matmul(pixels, s.ones_h[: pixels.shape[1]], out=mean.reshape(-1))
    np.multiply(mean, np.float32(channels / images.shape[1]), out=mean)
    np.vecdot(pixels, pixels, out=inv_std.reshape(-1))
    np.multiply(inv_std, np.float32(channels / images.shape[1]), out=inv_std)
    np.subtract(inv_std, mean * mean, out=inv_std)
    np.sqrt(inv_std, out=inv_std)
    np.reciprocal(inv_std, out=inv_std)  # no image here is constant
