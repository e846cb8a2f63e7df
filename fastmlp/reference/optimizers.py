"""The steps of the optimisers, and clipping by the norm, in plain numpy and float64."""

import math
from collections.abc import Sequence

import numpy as np

from fastmlp.reference.activations import Array, Pair


def momentum_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float = 0.0) -> Pair:
    """(w, v) after a step by g, all of any shape: v <- momentum v - lr (g + weight_decay w), then w <- w + v."""
    v = momentum * v - lr * (g + weight_decay * w)
    return w + v, v


def nesterov_step(w: Array, v: Array, g: Array, lr: float, momentum: float, weight_decay: float = 0.0) -> Pair:
    """(w, v) after a step by g, all of any shape: v <- momentum v - lr g', w <- w + momentum v - lr g'.

    g' = g + weight_decay w.
    """
    g = g + weight_decay * w
    v = momentum * v - lr * g
    return w + momentum * v - lr * g, v


def adam_step(
    w: Array, m: Array, v: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float = 0.0, eps_hat: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(w, m, v) after Adam's step number `step`, from 1 on, by g, all of any shape; the decay goes into the gradient.

    eps_hat : whether eps is added to the root of v itself, instead of that of the corrected v.
    """
    g = g + weight_decay * w
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    unbiased_m, unbiased_v = m / (1 - beta1**step), v / (1 - beta2**step)
    own_eps = eps / np.sqrt(1 - beta2**step) if eps_hat else eps
    return w - lr * unbiased_m / (np.sqrt(unbiased_v) + own_eps), m, v


def adamw_step(
    w: Array, m: Array, v: Array, g: Array, step: int, lr: float, beta1: float, beta2: float, eps: float,
    weight_decay: float = 0.0, eps_hat: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(w, m, v) after AdamW's step by g, all of any shape: w shrinks by lr weight_decay, then Adam's without decay."""
    return adam_step(w - lr * weight_decay * w, m, v, g, step, lr, beta1, beta2, eps, 0.0, eps_hat)


OPTIMIZERS = {"sgd": momentum_step, "nesterov": nesterov_step, "adam": adam_step, "adamw": adamw_step}


def clip_norm(gradients: Sequence[Array], most: float) -> list[Array]:
    """Scale gradients, of any shape, to a common norm of at most `most`."""
    norm = math.sqrt(sum(float(np.sum(g * g)) for g in gradients))
    return [g * min(1.0, most / (norm + 1e-6)) for g in gradients]
