"""fastmlp_kernels: the compiled kernels of fastmlp, for anyone's numpy and numba code.

Each function here checks its arguments and calls a compiled loop; the loops themselves, unchecked, for use inside other
jitted functions, are in `fastmlp_kernels.jit`. Sizes in all docstrings: `N` rows of a batch, `M` of a data set, `D`
inputs, `H` hidden units, `K` outputs (classes), `C` channels, `P` parameters. Arrays are C-contiguous, float32 or
float64. Functions that work in place return no array. Those with `out=None` work on arrays of any number of
dimensions and return their result, as numpy's own functions do: `exp`, `log`, `tanh`, `gelu` and so on of each element,
which take arrays in any order of memory, `softmax`, `log_softmax`, `logsumexp`, `accurate_sum` and `accurate_mean`
along an axis, `layer_norm` and `dropout` of rows.
Nothing compiles at import; `warmup()` compiles all, and what is compiled is kept on disk, see `fastmlp_kernels.cache`.
Matrix products, float32 and bfloat16, are a module of their own, `fastmlp_kernels.gemm`, and rounding to bfloat16 is in
`fastmlp_kernels.bfloat16`; these compile at their first call. Modules are imported at their first use, as in
`fastmlp_kernels.jit.exp1`.
"""

import importlib as _importlib
from typing import TYPE_CHECKING

from fastmlp_kernels._overloads import overload_numpy, restore_numpy
from fastmlp_kernels._warmup import warmup
from fastmlp_kernels.activations import (
    bias_elu,
    bias_gelu,
    bias_identity,
    bias_leaky_relu,
    bias_relu,
    bias_sigmoid,
    bias_silu,
    bias_softplus,
    bias_tanh,
    elu_backward,
    gelu_backward,
    identity_backward,
    leaky_relu_backward,
    relu_backward,
    sigmoid_backward,
    silu_backward,
    softplus_backward,
    tanh_backward,
)
from fastmlp_kernels.dropping import dropout
from fastmlp_kernels.elementwise import (
    huber_loss,
    huber_loss_eval,
    logistic_loss,
    logistic_loss_eval,
    poisson_loss,
    poisson_loss_eval,
    squared_error,
    squared_error_eval,
)
from fastmlp_kernels.layernorm import layer_norm, layer_norm_backward
from fastmlp_kernels.log_sum import log_softmax, logsumexp, softmax
from fastmlp_kernels.loss import bias_softmax, softmax_cross_entropy, softmax_cross_entropy_eval
from fastmlp_kernels.normalize import gather_normalize, image_moments
from fastmlp_kernels.pointwise import (
    cos,
    elu,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    gelu,
    leaky_relu,
    log,
    log1p,
    log2,
    log10,
    log_sigmoid,
    logit,
    pow,  # noqa: A004 - numpy's name
    relu,
    rsqrt,
    sigmoid,
    silu,
    sin,
    softplus,
    tanh,
)
from fastmlp_kernels.reductions import accurate_mean, accurate_sum
from fastmlp_kernels.update import adam_step, adamw_step, momentum_step, nesterov_step

__all__ = [
    "accurate_mean",
    "accurate_sum",
    "adam_step",
    "adamw_step",
    "bias_elu",
    "bias_gelu",
    "bias_identity",
    "bias_leaky_relu",
    "bias_relu",
    "bias_sigmoid",
    "bias_silu",
    "bias_softmax",
    "bias_softplus",
    "bias_tanh",
    "cos",
    "dropout",
    "elu",
    "elu_backward",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "gather_normalize",
    "gelu",
    "gelu_backward",
    "huber_loss",
    "huber_loss_eval",
    "identity_backward",
    "image_moments",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logistic_loss",
    "logistic_loss_eval",
    "logit",
    "logsumexp",
    "momentum_step",
    "nesterov_step",
    "overload_numpy",
    "poisson_loss",
    "poisson_loss_eval",
    "pow",
    "relu",
    "relu_backward",
    "restore_numpy",
    "rsqrt",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "sin",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_eval",
    "softplus",
    "softplus_backward",
    "squared_error",
    "squared_error_eval",
    "tanh",
    "tanh_backward",
    "warmup",
]


__version__ = "0.1.0"

_MODULES = {"bfloat16", "cache", "gemm", "jit"}  # imported at their first use

if TYPE_CHECKING:
    from fastmlp_kernels import bfloat16 as bfloat16
    from fastmlp_kernels import cache as cache
    from fastmlp_kernels import gemm as gemm
    from fastmlp_kernels import jit as jit


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _importlib.import_module(f"{__name__}.{name}")  # which makes it an attribute


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
