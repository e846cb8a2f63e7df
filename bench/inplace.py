"""The kernels' work in careful in-place float32 numpy: `out=` everywhere, scratch made once, no wasted temporary.

What a numpy programmer who minds memory would write. `bench.tuned` goes further with tricks that numpy allows.
Arguments are the kernels'; `Scratch` holds the temporaries.
"""

from typing import Any

import numpy as np

ONE, ZERO, HALF = np.float32(1), np.float32(0), np.float32(0.5)
SLOPE = np.float32(0.01)
ERF = tuple(map(np.float32, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)))
ROOT_2 = np.float32(np.sqrt(2))
ERF_SCALE = np.float32(0.3275911 / np.sqrt(2))

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
        self.random = np.random.Generator(np.random.SFC64(1))  # the fastest of numpy's


def bias_tanh(z: Array, bias: Array, s: Scratch) -> None:  # noqa: ARG001 - one signature for all
    np.add(z, bias, out=z)
    np.tanh(z, out=z)


def bias_sigmoid(z: Array, bias: Array, s: Scratch) -> None:  # noqa: ARG001
    np.add(z, bias, out=z)
    np.negative(z, out=z)
    np.exp(z, out=z)
    np.add(z, ONE, out=z)
    np.reciprocal(z, out=z)


def bias_relu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    np.maximum(z, s.zeros_h, out=z)  # against a row: the scalar's loop is slower


def bias_identity(z: Array, bias: Array, s: Scratch) -> None:  # noqa: ARG001
    np.add(z, bias, out=z)


def bias_leaky_relu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    np.multiply(z, SLOPE, out=s.full)
    np.maximum(z, s.full, out=z)


def bias_elu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    np.minimum(z, s.zeros_h, out=s.full)
    np.expm1(s.full, out=s.full)
    np.maximum(z, s.full, out=z)  # the exponential's curve is above the line


def bias_softplus(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    np.abs(z, out=s.full)
    np.negative(s.full, out=s.full)
    np.exp(s.full, out=s.full)
    np.log1p(s.full, out=s.full)
    np.maximum(z, s.zeros_h, out=z)
    np.add(z, s.full, out=z)


def sigmoid_of(x: Array, out: Array) -> None:
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, ONE, out=out)
    np.reciprocal(out, out=out)


def bias_silu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    sigmoid_of(z, s.full)
    np.multiply(z, s.full, out=z)


def two_tails(x: Array, tails: Array, bell: Array) -> None:
    """Set tails to 1 - erf(|x| / sqrt 2), bell to exp(-x^2 / 2): Abramowitz and Stegun 7.1.26, as numpy has no erf."""
    u = bell
    np.abs(x, out=u)
    np.multiply(u, ERF_SCALE, out=u)
    np.add(u, ONE, out=u)
    np.reciprocal(u, out=u)
    np.multiply(u, ERF[-1], out=tails)
    for coefficient in ERF[-2::-1]:
        np.add(tails, coefficient, out=tails)
        np.multiply(tails, u, out=tails)
    np.multiply(x, x, out=bell)
    np.multiply(bell, np.float32(-0.5), out=bell)
    np.exp(bell, out=bell)
    np.multiply(tails, bell, out=tails)


def bias_gelu(z: Array, bias: Array, s: Scratch) -> None:
    np.add(z, bias, out=z)
    other = s.turned.reshape(z.shape)
    two_tails(z, s.full, other)
    np.abs(z, out=other)
    np.multiply(other, HALF, out=other)
    np.multiply(s.full, other, out=s.full)
    np.maximum(z, s.zeros_h, out=z)
    np.subtract(z, s.full, out=z)


def tanh_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.multiply(h, h, out=s.full)
    np.subtract(ONE, s.full, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def sigmoid_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.subtract(ONE, h, out=s.full)
    np.multiply(s.full, h, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def relu_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.greater(h, ZERO, out=s.flags)
    np.multiply(delta, s.flags, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def identity_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:  # noqa: ARG001
    np.add.reduce(delta, axis=0, out=dbias)


def leaky_relu_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.greater(h, ZERO, out=s.flags)
    np.multiply(s.flags, ONE - SLOPE, out=s.full)
    np.add(s.full, SLOPE, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def elu_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.minimum(h, s.zeros_h, out=s.full)
    np.add(s.full, ONE, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def softplus_backward(delta: Array, h: Array, dbias: Array, s: Scratch) -> None:
    np.negative(h, out=s.full)
    np.expm1(s.full, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.negative(delta, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def silu_backward(delta: Array, x: Array, dbias: Array, s: Scratch) -> None:
    other = s.turned.reshape(x.shape)
    sigmoid_of(x, s.full)
    np.subtract(ONE, s.full, out=other)
    np.multiply(other, x, out=other)
    np.add(other, ONE, out=other)
    np.multiply(other, s.full, out=other)
    np.multiply(delta, other, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def gelu_backward(delta: Array, x: Array, dbias: Array, s: Scratch) -> None:
    other = s.turned.reshape(x.shape)
    two_tails(x, s.full, other)
    np.subtract(ONE, s.full, out=s.full)
    np.copysign(s.full, x, out=s.full)
    np.add(s.full, ONE, out=s.full)
    np.multiply(s.full, HALF, out=s.full)
    np.multiply(other, x, out=other)
    np.multiply(other, np.float32(1 / np.sqrt(2 * np.pi)), out=other)
    np.add(s.full, other, out=s.full)
    np.multiply(delta, s.full, out=delta)
    np.add.reduce(delta, axis=0, out=dbias)


def _loss(logits: Array, bias: Array, labels: Array, e: Array, s: Scratch) -> tuple[float, int]:
    """Set e to the exponentials and s.column to their sums."""
    np.add(logits, bias, out=e)
    np.max(e, axis=1, out=s.column)
    np.subtract(e, s.column[:, None], out=e)
    picked = e[s.rows, labels]
    np.exp(e, out=e)
    np.add.reduce(e, axis=1, out=s.column)
    loss = (np.log(s.column).sum() - picked.sum()) / len(labels)
    return float(loss), int(np.count_nonzero(picked == ZERO))


def softmax_cross_entropy(logits: Array, bias: Array, labels: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    result = _loss(logits, bias, labels, logits, s)
    np.multiply(s.column, np.float32(len(labels)), out=s.column)
    np.divide(logits, s.column[:, None], out=logits)
    logits[s.rows, labels] -= np.float32(1 / len(labels))
    np.add.reduce(logits, axis=0, out=dbias)
    return result


def softmax_cross_entropy_eval(logits: Array, bias: Array, labels: Array, s: Scratch) -> tuple[float, int]:
    return _loss(logits, bias, labels, s.full, s)


def logistic_loss_eval(z: Array, bias: Array, targets: Array, s: Scratch) -> tuple[float, int]:
    np.add(z, bias, out=s.full)
    right = np.count_nonzero(np.all((s.full > ZERO) == (targets > 0.5), axis=1))
    return float((np.logaddexp(ZERO, s.full).sum() - np.vdot(targets, s.full)) / len(z)), int(right)


def logistic_loss(z: Array, bias: Array, targets: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    result = logistic_loss_eval(z, bias, targets, s)
    np.negative(s.full, out=z)
    np.exp(z, out=z)
    np.add(z, np.float32(1), out=z)
    np.reciprocal(z, out=z)
    return _gradient(z, targets, dbias, result)


def _gradient(z: Array, targets: Array, dbias: Array, result: tuple[float, int]) -> tuple[float, int]:
    """Turn what the outputs say into the gradient."""
    np.subtract(z, targets, out=z)
    np.multiply(z, np.float32(1 / len(z)), out=z)
    np.add.reduce(z, axis=0, out=dbias)
    return result


def squared_error_eval(z: Array, bias: Array, targets: Array, s: Scratch) -> tuple[float, int]:
    np.add(z, bias, out=s.full)
    np.subtract(s.full, targets, out=s.full)
    return float(np.vdot(s.full, s.full)) / (2 * len(z)), 0


def squared_error(z: Array, bias: Array, targets: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    result = squared_error_eval(z, bias, targets, s)
    np.add(z, bias, out=z)
    return _gradient(z, targets, dbias, result)


def poisson_loss_eval(z: Array, bias: Array, targets: Array, s: Scratch) -> tuple[float, int]:
    np.add(z, bias, out=s.full)
    terms = np.log(np.where(targets > 0, targets, 1)) - s.full
    np.exp(s.full, out=s.full)
    return float((np.vdot(targets, terms) + (s.full - targets).sum()) / len(z)), 0


def poisson_loss(z: Array, bias: Array, targets: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    result = poisson_loss_eval(z, bias, targets, s)
    np.copyto(z, s.full)
    return _gradient(z, targets, dbias, result)


def huber_loss_eval(z: Array, bias: Array, targets: Array, s: Scratch) -> tuple[float, int]:
    np.add(z, bias, out=s.full)
    np.subtract(s.full, targets, out=s.full)
    apart = np.abs(s.full)
    near = np.minimum(apart, np.float32(1))
    return float((np.vdot(near, apart) - np.vdot(near, near) / 2) / len(z)), 0


def huber_loss(z: Array, bias: Array, targets: Array, dbias: Array, s: Scratch) -> tuple[float, int]:
    result = huber_loss_eval(z, bias, targets, s)
    np.clip(s.full, np.float32(-1), np.float32(1), out=z)
    np.multiply(z, np.float32(1 / len(z)), out=z)
    np.add.reduce(z, axis=0, out=dbias)
    return result


def bias_softmax(logits: Array, bias: Array, s: Scratch) -> None:
    np.add(logits, bias, out=logits)
    np.max(logits, axis=1, out=s.column)
    np.subtract(logits, s.column[:, None], out=logits)
    np.exp(logits, out=logits)
    np.add.reduce(logits, axis=1, out=s.column)
    np.divide(logits, s.column[:, None], out=logits)


def _shifted_exponentials(x: Array, z: Array, s: Scratch) -> None:
    """Set z to x less each row's largest, s.full to its exponentials, s.column to their sums."""
    np.max(x, axis=1, out=s.column)
    np.subtract(x, s.column[:, None], out=z)
    np.exp(z, out=s.full)
    np.add.reduce(s.full, axis=1, out=s.column)


def softmax(x: Array, out: Array, s: Scratch) -> None:
    _shifted_exponentials(x, s.full, s)
    np.divide(s.full, s.column[:, None], out=out)


def log_softmax(x: Array, out: Array, s: Scratch) -> None:
    _shifted_exponentials(x, out, s)
    np.log(s.column, out=s.column)
    np.subtract(out, s.column[:, None], out=out)


def logsumexp(x: Array, out: Array, s: Scratch) -> None:
    np.max(x, axis=1, out=out)
    np.subtract(x, out[:, None], out=s.full)
    np.exp(s.full, out=s.full)
    np.add.reduce(s.full, axis=1, out=s.column)
    np.log(s.column, out=s.column)
    np.add(out, s.column, out=out)


def layer_norm(x: Array, gain: Array, bias: Array, out: Array, mean: Array, inv_std: Array, s: Scratch) -> None:  # noqa: ARG001
    np.mean(x, axis=1, out=mean)
    np.subtract(x, mean[:, None], out=out)
    np.einsum("ij,ij->i", out, out, out=inv_std)
    np.multiply(inv_std, np.float32(1 / x.shape[1]), out=inv_std)
    np.add(inv_std, np.float32(1e-5), out=inv_std)
    np.sqrt(inv_std, out=inv_std)
    np.reciprocal(inv_std, out=inv_std)
    np.multiply(out, inv_std[:, None], out=out)
    np.multiply(out, gain, out=out)
    np.add(out, bias, out=out)


def layer_norm_backward(
    delta: Array, x: Array, gain: Array, mean: Array, inv_std: Array, dgain: Array, dbias: Array, s: Scratch
) -> None:
    normal, share = s.full, np.float32(1 / x.shape[1])
    np.subtract(x, mean[:, None], out=normal)
    np.multiply(normal, inv_std[:, None], out=normal)
    np.add.reduce(delta, axis=0, out=dbias)
    np.einsum("ij,ij->j", delta, normal, out=dgain)
    np.multiply(delta, gain, out=delta)
    np.einsum("ij,ij->i", delta, normal, out=s.column)
    np.multiply(s.column, share, out=s.column)
    np.multiply(normal, s.column[:, None], out=normal)
    np.mean(delta, axis=1, out=s.column)
    np.subtract(delta, s.column[:, None], out=delta)
    np.subtract(delta, normal, out=delta)
    np.multiply(delta, inv_std[:, None], out=delta)


def dropout(x: Array, rate: float, *rest: Any) -> None:
    """Drop by numpy's own bits, into the scratch."""
    s = rest[-1]
    s.random.random(out=s.full, dtype=np.float32)
    np.greater_equal(s.full, np.float32(rate), out=s.flags)
    np.multiply(x, np.float32(1 / (1 - rate)), out=s.full)
    np.multiply(s.full, s.flags, out=s.full)


def accurate_sum(x: Array, out: Array, s: Scratch) -> None:  # noqa: ARG001
    np.copyto(out, np.add.reduce(x, axis=1, dtype=np.float64), casting="same_kind")  # of float64's accuracy, as ours


def accurate_mean(x: Array, out: Array, s: Scratch) -> None:
    accurate_sum(x, out, s)
    np.divide(out, np.float32(x.shape[1]), out=out)


def momentum_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float, s: Scratch) -> None:
    np.multiply(v, np.float32(momentum), out=v)
    np.multiply(w, np.float32(weight_decay), out=s.full)
    np.add(s.full, g, out=s.full)
    np.multiply(s.full, np.float32(lr), out=s.full)
    np.subtract(v, s.full, out=v)
    np.add(w, v, out=w)


def nesterov_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float, s: Scratch) -> None:
    np.multiply(w, np.float32(weight_decay), out=s.full)
    np.add(s.full, g, out=s.full)
    np.multiply(s.full, np.float32(lr), out=s.full)
    np.multiply(v, np.float32(momentum), out=v)
    np.subtract(v, s.full, out=v)
    np.subtract(w, s.full, out=w)
    np.multiply(v, np.float32(momentum), out=s.full)
    np.add(w, s.full, out=w)


def _adam(w: Array, state: Array, g: Array, step: int, settings: tuple[float, ...], s: Scratch) -> None:
    (m, v), (lr, beta1, beta2, eps) = state, settings
    other, root2 = s.turned.reshape(w.shape), np.sqrt(1 - beta2**step)
    np.multiply(m, np.float32(beta1), out=m)
    np.multiply(g, np.float32(1 - beta1), out=other)
    np.add(m, other, out=m)
    np.multiply(v, np.float32(beta2), out=v)
    np.multiply(g, g, out=other)
    np.multiply(other, np.float32(1 - beta2), out=other)
    np.add(v, other, out=v)
    np.sqrt(v, out=other)
    np.add(other, np.float32(eps * root2), out=other)
    np.divide(m, other, out=other)
    np.multiply(other, np.float32(lr * root2 / (1 - beta1**step)), out=other)
    np.subtract(w, other, out=w)


def adam_step(
    w: Array, state: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float,
    s: Scratch,
) -> None:  # fmt: skip
    np.multiply(w, np.float32(weight_decay), out=s.full)
    np.add(s.full, g, out=s.full)
    _adam(w, state, s.full, step, (lr, beta1, beta2, eps), s)


def adamw_step(
    w: Array, state: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float,
    s: Scratch,
) -> None:  # fmt: skip
    np.multiply(w, np.float32(1 - lr * weight_decay), out=w)
    _adam(w, state, g, step, (lr, beta1, beta2, eps), s)


def image_moments(images: Array, channels: int, mean: Array, inv_std: Array, s: Scratch) -> None:
    blocks = s.full.reshape(len(images), channels, -1)
    np.copyto(s.full, images)
    np.mean(blocks, axis=2, out=mean)
    np.subtract(blocks, mean[:, :, None], out=blocks)
    np.multiply(blocks, blocks, out=blocks)
    np.mean(blocks, axis=2, out=inv_std)
    np.sqrt(inv_std, out=inv_std)
    np.reciprocal(inv_std, out=inv_std)  # no image here is constant


def gather_normalize(images: Array, index: Array, mean: Array, inv_std: Array, out: Array, s: Scratch) -> None:
    np.take(images, index, axis=0, out=s.bytes, mode="clip")
    np.copyto(out, s.bytes)
    blocks = out.reshape(len(index), mean.shape[1], -1)
    scale = inv_std[index]
    np.multiply(blocks, scale[:, :, None], out=blocks)
    np.subtract(blocks, (mean[index] * scale)[:, :, None], out=blocks)
