"""The compiled bodies, for use inside other numba functions. They check types while they compile, and nothing else.

Called with a wrong shape, a label outside [0, K) or overlapping arrays they read and write out of bounds: check once,
outside the loop. Arguments are those of the public functions of the same name in `fastmlp_kernels`; arrays must be
C-contiguous and share one dtype, float32 or float64. Those that work along the last axis (`softmax`, `log_softmax`,
`logsumexp`, `accurate_sum`, `accurate_mean`) take (x, out), x with two dimensions; `sigmoid`, `log_sigmoid` and `exp`
take (x, out) of any: for others of each element write the loop over what ends in 1, which takes one element, `pow1`
two. `adam_step` and `adamw_step` take (w, state, g, step, settings), settings the tuple (lr, beta1, beta2, eps,
weight_decay); `dropout` (x, out, rate, seed, step, layer, first), x with two dimensions; `layer_norm` (x, gain, bias,
out, mean, inv_std, eps), where mean and inv_std may be empty.
"""

import inspect as _inspect
import re as _re
from hashlib import sha256 as _sha256
from typing import TYPE_CHECKING, Any

import fastmlp_kernels as _checked
from fastmlp_kernels import _typed
from fastmlp_kernels._cache import package_version as _package_version
from fastmlp_kernels._widths import widest_vectors
from fastmlp_kernels.activations import _bias_elu as bias_elu
from fastmlp_kernels.activations import _bias_gelu as bias_gelu
from fastmlp_kernels.activations import _bias_identity as bias_identity
from fastmlp_kernels.activations import _bias_leaky_relu as bias_leaky_relu
from fastmlp_kernels.activations import _bias_relu as bias_relu
from fastmlp_kernels.activations import _bias_sigmoid as bias_sigmoid
from fastmlp_kernels.activations import _bias_silu as bias_silu
from fastmlp_kernels.activations import _bias_softplus as bias_softplus
from fastmlp_kernels.activations import _bias_tanh as bias_tanh
from fastmlp_kernels.activations import _elu_backward as elu_backward
from fastmlp_kernels.activations import _gelu_backward as gelu_backward
from fastmlp_kernels.activations import _identity_backward as identity_backward
from fastmlp_kernels.activations import _leaky_relu_backward as leaky_relu_backward
from fastmlp_kernels.activations import _relu_backward as relu_backward
from fastmlp_kernels.activations import _sigmoid_backward as sigmoid_backward
from fastmlp_kernels.activations import _silu_backward as silu_backward
from fastmlp_kernels.activations import _softplus_backward as softplus_backward
from fastmlp_kernels.activations import _tanh_backward as tanh_backward
from fastmlp_kernels.dropping import _dropout as dropout
from fastmlp_kernels.elementary import exp1, expm1_1, log1, log1p1, relu1, sigmoid1, tanh1
from fastmlp_kernels.elementwise import _huber_loss as huber_loss
from fastmlp_kernels.elementwise import _huber_loss_eval as huber_loss_eval
from fastmlp_kernels.elementwise import _logistic_loss as logistic_loss
from fastmlp_kernels.elementwise import _logistic_loss_eval as logistic_loss_eval
from fastmlp_kernels.elementwise import _poisson_loss as poisson_loss
from fastmlp_kernels.elementwise import _poisson_loss_eval as poisson_loss_eval
from fastmlp_kernels.elementwise import _squared_error as squared_error
from fastmlp_kernels.elementwise import _squared_error_eval as squared_error_eval
from fastmlp_kernels.layernorm import _layer_norm as layer_norm
from fastmlp_kernels.layernorm import _layer_norm_backward as layer_norm_backward
from fastmlp_kernels.log_sum import _log_softmax as log_softmax
from fastmlp_kernels.log_sum import _logsumexp as logsumexp
from fastmlp_kernels.log_sum import _softmax as softmax
from fastmlp_kernels.loss import _bias_softmax as bias_softmax
from fastmlp_kernels.loss import _softmax_cross_entropy as softmax_cross_entropy
from fastmlp_kernels.loss import _softmax_cross_entropy_eval as softmax_cross_entropy_eval
from fastmlp_kernels.normalize import _gather_normalize as gather_normalize
from fastmlp_kernels.normalize import _image_moments as image_moments
from fastmlp_kernels.pointwise import _exp as exp
from fastmlp_kernels.pointwise import _log_sigmoid as log_sigmoid
from fastmlp_kernels.pointwise import _sigmoid as sigmoid
from fastmlp_kernels.reductions import _accurate_mean as accurate_mean
from fastmlp_kernels.reductions import _accurate_sum as accurate_sum
from fastmlp_kernels.update import _adam_step as adam_step
from fastmlp_kernels.update import _adamw_step as adamw_step
from fastmlp_kernels.update import _momentum_step as momentum_step
from fastmlp_kernels.update import _nesterov_step as nesterov_step

if TYPE_CHECKING:
    from fastmlp_kernels.scalars import (
        cos1,
        elu1,
        elu_slope1,
        erf1,
        erf_slope1,
        erfc1,
        exp2_1,
        gelu1,
        gelu_slope1,
        leaky_relu1,
        leaky_relu_slope1,
        log2_1,
        log10_1,
        log_sigmoid1,
        log_sigmoid_slope1,
        logit1,
        logit_slope1,
        pow1,
        relu_slope1,
        rsqrt1,
        sigmoid_slope1,
        silu1,
        silu_slope1,
        sin1,
        softplus1,
        softplus_slope1,
        tanh_slope1,
    )

# These are imported at their first use: that takes 30 ms.
_SCALARS = {
    "cos1",
    "elu1",
    "elu_slope1",
    "erf1",
    "erf_slope1",
    "erfc1",
    "exp2_1",
    "gelu1",
    "gelu_slope1",
    "leaky_relu1",
    "leaky_relu_slope1",
    "log10_1",
    "log2_1",
    "log_sigmoid1",
    "log_sigmoid_slope1",
    "logit1",
    "logit_slope1",
    "pow1",
    "relu_slope1",
    "rsqrt1",
    "sigmoid_slope1",
    "silu1",
    "silu_slope1",
    "sin1",
    "softplus1",
    "softplus_slope1",
    "tanh_slope1",
}

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
    "cos1",
    "dropout",
    "elu1",
    "elu_backward",
    "elu_slope1",
    "erf1",
    "erf_slope1",
    "erfc1",
    "exp",
    "exp1",
    "exp2_1",
    "expm1_1",
    "gather_normalize",
    "gelu1",
    "gelu_backward",
    "gelu_slope1",
    "huber_loss",
    "huber_loss_eval",
    "identity_backward",
    "image_moments",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu1",
    "leaky_relu_backward",
    "leaky_relu_slope1",
    "log1",
    "log1p1",
    "log2_1",
    "log10_1",
    "log_sigmoid",
    "log_sigmoid1",
    "log_sigmoid_slope1",
    "log_softmax",
    "logistic_loss",
    "logistic_loss_eval",
    "logit1",
    "logit_slope1",
    "logsumexp",
    "momentum_step",
    "nesterov_step",
    "poisson_loss",
    "poisson_loss_eval",
    "pow1",
    "relu1",
    "relu_backward",
    "relu_slope1",
    "rsqrt1",
    "sigmoid",
    "sigmoid1",
    "sigmoid_backward",
    "sigmoid_slope1",
    "silu1",
    "silu_backward",
    "silu_slope1",
    "sin1",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_eval",
    "softplus1",
    "softplus_backward",
    "softplus_slope1",
    "squared_error",
    "squared_error_eval",
    "tanh1",
    "tanh_backward",
    "tanh_slope1",
    "widest_vectors",
]


def __getattr__(name: str) -> Any:
    if name == "stamp":
        found = int(_sha256(f"{_checked.__version__} {_package_version()}".encode()).hexdigest()[:15], 16)
    elif name in _SCALARS:
        from fastmlp_kernels import scalars

        found = getattr(scalars, name)
        _finish(name, found)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_SCALARS, "stamp"})


_UNCHECKED = """\
Unchecked: other shapes, labels out of range or arrays that overlap have it read and write out of bounds. Types alone
are looked at, while the code around it compiles. Arrays for results must be given, and none is returned. What follows
is said of `fastmlp_kernels.{name}`, which checks:"""
_ELEMENT = """\
Integers count as float64, and so does float32 beside a float64; all else is refused while the code around it compiles.
No branches: LLVM makes vectors of a loop over it."""


def _finish(name: str, function: Any) -> None:
    """Have a function refuse other types than it is for, and say what it is: `help(jit.exp1)`."""
    if name.endswith("1"):
        _typed.of_elements(name, function)
        function.__doc__ = f"{function.__doc__}\n\n{_ELEMENT}"
        return
    _typed.of_arrays(name, function)
    first, _, others = (_inspect.getdoc(getattr(_checked, name)) or "").partition("\n")
    first = _re.sub(r"; returns `out`.*", ".", first)
    function.__name__, function.__doc__ = name, f"{first}\n\n{_UNCHECKED.format(name=name)}\n{others}"


for _name in set(__all__) - _SCALARS - {"widest_vectors"}:  # which takes nothing
    _finish(_name, globals()[_name])
