"""fastmlp: multi-layer perceptrons on CPUs, fast.

Sizes, here once and in all docstrings: `N` rows of a batch, `M` of a data set, `D` inputs, `H` hidden units, `K`
outputs (classes), `C` channels, `P` parameters. Activations are (N, H), weights (D, H), biases (H,), all C-contiguous;
the gradient of `w` is called `dw`.

Names are imported on first use: importing the package loads neither numpy nor numba, so that a command line can still
choose the BLAS kernels (`fastmlp.coretype`) before numpy loads them.
"""

from importlib import import_module

TYPE_CHECKING = False  # its module would be the first thing that a command waits for
if TYPE_CHECKING:
    from fastmlp.errors import FastMLPError as FastMLPError
    from fastmlp.models.file import load_model as load_model
    from fastmlp.models.file import save_model as save_model
    from fastmlp.models.model import Model as Model
    from fastmlp.nn.inputs import ImageInput as ImageInput
    from fastmlp.nn.layers import Dense as Dense
    from fastmlp.nn.network import MLP as MLP
    from fastmlp.nn.optimizer import SGD as SGD
    from fastmlp.nn.optimizer import Adam as Adam
    from fastmlp.nn.optimizer import AdamW as AdamW
    from fastmlp.nn.optimizer import Nesterov as Nesterov
    from fastmlp.train import TrainModule

    train: TrainModule

__version__ = "0.1.0"

_HOME = {
    "Adam": "nn.optimizer",
    "AdamW": "nn.optimizer",
    "MLP": "nn.network",
    "Dense": "nn.layers",
    "FastMLPError": "errors",
    "ImageInput": "nn.inputs",
    "Model": "models.model",
    "Nesterov": "nn.optimizer",
    "SGD": "nn.optimizer",
    "load_model": "models.file",
    "save_model": "models.file",
}

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "AdamW",
    "Dense",
    "FastMLPError",
    "ImageInput",
    "Model",
    "Nesterov",
    "__version__",
    "load_model",
    "save_model",
    "train",
]


def __getattr__(name: str) -> object:
    if name == "train":  # a module that can be called, as its name is that of the command, too
        return import_module("fastmlp.train")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
