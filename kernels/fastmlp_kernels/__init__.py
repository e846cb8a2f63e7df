"""fastmlp_kernels: the compiled kernels of fastmlp, for anyone's numpy and numba code.

Each function here checks its arguments and calls a compiled loop; the loops themselves, unchecked, for use inside other
jitted functions, are in `fastmlp_kernels.jit`. Sizes in all docstrings: `N` rows of a batch, `M` of a data set, `D`
inputs, `H` hidden units, `K` outputs (classes), `C` channels, `P` parameters. Arrays are C-contiguous, float32 or
float64. Functions that work in place return no array. Those with `out=None` work on arrays of any number of
dimensions and return their result, as numpy's own functions do: `sigmoid`, `log_sigmoid` and `exp` of each element,
`softmax`, `log_softmax`, `logsumexp`, `accurate_sum` and `accurate_mean` along the last axis.
Nothing compiles at import; `warmup()` compiles all, and what is compiled is kept on disk, see `fastmlp_kernels.cache`.
Matrix products, float32 and bfloat16, are a module of their own, `fastmlp_kernels.gemm`, and rounding to bfloat16 is in
`fastmlp_kernels.bfloat16`; these compile at their first call.
"""

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
from fastmlp_kernels.log_sum import log_softmax, logsumexp, softmax
from fastmlp_kernels.loss import bias_softmax, softmax_cross_entropy, softmax_cross_entropy_eval
from fastmlp_kernels.normalize import gather_normalize, image_moments
from fastmlp_kernels.outputs import exp, log_sigmoid, sigmoid
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
    "elu_backward",
    "exp",
    "gather_normalize",
    "gelu_backward",
    "huber_loss",
    "huber_loss_eval",
    "identity_backward",
    "image_moments",
    "leaky_relu_backward",
    "log_sigmoid",
    "log_softmax",
    "logistic_loss",
    "logistic_loss_eval",
    "logsumexp",
    "momentum_step",
    "nesterov_step",
    "poisson_loss",
    "poisson_loss_eval",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu_backward",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_eval",
    "softplus_backward",
    "squared_error",
    "squared_error_eval",
    "tanh_backward",
    "warmup",
]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastmlp import __version__  # both are of one distribution, whose version is written there alone

    return __version__
