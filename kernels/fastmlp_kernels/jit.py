"""The compiled bodies, for use inside other numba functions. They check nothing.

Called with a wrong shape, a label outside [0, K) or overlapping arrays they read and write out of bounds: check once,
outside the loop. Arguments are those of the public functions of the same name in `fastmlp_kernels`; arrays must be
C-contiguous and share one dtype, float32 or float64. Those that work along the last axis (`softmax`, `log_softmax`,
`logsumexp`, `accurate_sum`, `accurate_mean`) take (x, out), x with two dimensions. `exp1`, `expm1_1`, `log1`, `log1p1`,
`tanh1` and `sigmoid1` take one element.
"""

from fastmlp_kernels.activations import _bias_identity as bias_identity
from fastmlp_kernels.activations import _bias_relu as bias_relu
from fastmlp_kernels.activations import _bias_sigmoid as bias_sigmoid
from fastmlp_kernels.activations import _bias_tanh as bias_tanh
from fastmlp_kernels.activations import _identity_backward as identity_backward
from fastmlp_kernels.activations import _relu_backward as relu_backward
from fastmlp_kernels.activations import _sigmoid_backward as sigmoid_backward
from fastmlp_kernels.activations import _tanh_backward as tanh_backward
from fastmlp_kernels.elementary import exp1, expm1_1, log1, log1p1, sigmoid1, tanh1
from fastmlp_kernels.log_sum import _log_softmax as log_softmax
from fastmlp_kernels.log_sum import _logsumexp as logsumexp
from fastmlp_kernels.log_sum import _softmax as softmax
from fastmlp_kernels.loss import _bias_softmax as bias_softmax
from fastmlp_kernels.loss import _softmax_cross_entropy as softmax_cross_entropy
from fastmlp_kernels.loss import _softmax_cross_entropy_eval as softmax_cross_entropy_eval
from fastmlp_kernels.normalize import _gather_normalize as gather_normalize
from fastmlp_kernels.normalize import _image_moments as image_moments
from fastmlp_kernels.reductions import _accurate_mean as accurate_mean
from fastmlp_kernels.reductions import _accurate_sum as accurate_sum
from fastmlp_kernels.update import _momentum_step as momentum_step

__all__ = [
    "accurate_mean",
    "accurate_sum",
    "bias_identity",
    "bias_relu",
    "bias_sigmoid",
    "bias_softmax",
    "bias_tanh",
    "exp1",
    "expm1_1",
    "gather_normalize",
    "identity_backward",
    "image_moments",
    "log1",
    "log1p1",
    "log_softmax",
    "logsumexp",
    "momentum_step",
    "relu_backward",
    "sigmoid1",
    "sigmoid_backward",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_eval",
    "tanh1",
    "tanh_backward",
]
