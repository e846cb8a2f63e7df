"""The kernels' work in careful float32 numpy: `out=` everywhere, scratch made once, BLAS for sums where it is faster.

Each form is the fastest of several that were timed: sigmoid through tanh (numpy's float32 exp takes longer), ReLU's
derivative by a boolean factor (masked copies take ten times as long), column and row sums as products with ones, a few
classes turned on their side so that numpy's inner loops run along the batch. Blocking by rows to stay in cache lost to
the calls it costs in all of them. Arguments are the kernels'; `Scratch` holds the temporaries.
"""

import numpy as np

ONE, HALF, ZERO = np.float32(1), np.float32(0.5), np.float32(0)
FEW_CLASSES = 64  # below it numpy's passes along a row cost more than turning the array

Array = np.ndarray


class Scratch:
    """Temporaries for arrays of one shape (N, H)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        n, width = shape
        self.full = np.empty(shape, np.float32)
        self.turned = np.empty((width, n), np.float32)
        self.flags = np.empty(shape, np.bool_)
        self.bytes = np.empty(shape, np.uint8)
        self.ones_n, self.ones_h = np.ones(n, np.float32), np.ones(width, np.float32)
        self.zeros_h = np.zeros(width, np.float32)
        self.row = np.empty(width, np.float32)
        self.column = np.empty(n, np.float32)
        self.rows = np.arange(n)


def bias_tanh(z: Array, bias: Array, s: Scratch) -> None:  # noqa: ARG001 - one signature for all
    np.add(z, bias, out=z)
    np.tanh(z, out=z)


def bias_sigmoid(z: Array, bias: Array, s: Scratch) -> None:
    np.multiply(z, HALF, out=z)
    np.multiply(bias, HALF, out=s.row)
    np.add(z, s.row, out=z)
    np.tanh(z, out=z)
    np.multiply(z, HALF, out=z)
    np.add(z, HALF, out=z)


def bias_relu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    np.maximum(z, s.zeros_h, out=z)  # against a row: the scalar's loop is slower


def bias_identity(z: Array, bias: Array, s: Scratch) -> None:  # noqa: ARG001
    np.add(z, bias, out=z)


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


def softmax(logits: Array, bias: Array, s: Scratch) -> None:
    z, e, axis = _exponentials(logits, bias, s)
    np.exp(z, out=e)
    np.matmul(s.ones_h, e, out=s.column) if axis == 0 else np.matmul(e, s.ones_h, out=s.column)
    np.reciprocal(s.column, out=s.column)
    if axis == 0:
        np.multiply(e, s.column, out=e)
        np.copyto(logits, e.T)
    else:
        np.multiply(e, s.column[:, None], out=logits)


def momentum_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float, s: Scratch) -> None:
    np.multiply(v, np.float32(momentum), out=v)
    np.multiply(w, np.float32(weight_decay), out=s.full)
    np.add(s.full, g, out=s.full)
    np.multiply(s.full, np.float32(lr), out=s.full)
    np.subtract(v, s.full, out=v)
    np.add(w, v, out=w)


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


def gather_normalize(images: Array, index: Array, mean: Array, inv_std: Array, out: Array, s: Scratch) -> None:
    np.take(images, index, axis=0, out=s.bytes, mode="clip")
    np.copyto(out, s.bytes)
    blocks = out.reshape(len(index), mean.shape[1], -1)
    scale = inv_std[index]
    np.multiply(blocks, scale[:, :, None], out=blocks)
    np.subtract(blocks, (mean[index] * scale)[:, :, None], out=blocks)
