"""fastmlp: multi-layer perceptrons on CPUs, fast.

Shapes, here once and everywhere the same: `N` images in a batch, `D` inputs, `H` hidden units, `K` classes.
Activations are (N, H), weights (D, H), biases (H,), all C-contiguous; the gradient of `w` is called `dw`.

Names are imported on first use: importing the package loads neither numpy nor numba, so that a command line can still
choose the BLAS kernels (`fastmlp.coretype`) before numpy loads them.
"""

from importlib import import_module

TYPE_CHECKING = False  # its module would be the first thing that a command waits for
if TYPE_CHECKING:
    from fastmlp.errors import FastMLPError as FastMLPError
    from fastmlp.inputs import ImageInput as ImageInput
    from fastmlp.layers import Dense as Dense
    from fastmlp.model import Model as Model
    from fastmlp.model_file import load_model as load_model
    from fastmlp.model_file import save_model as save_model
    from fastmlp.network import MLP as MLP
    from fastmlp.optimizer import SGD as SGD

__version__ = "0.1.0"

_HOME = {
    "MLP": "network",
    "Dense": "layers",
    "FastMLPError": "errors",
    "ImageInput": "inputs",
    "Model": "model",
    "SGD": "optimizer",
    "load_model": "model_file",
    "save_model": "model_file",
}

__all__ = ["MLP", "SGD", "Dense", "FastMLPError", "ImageInput", "Model", "__version__", "load_model", "save_model"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
