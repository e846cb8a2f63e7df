"""Data sets: CIFAR-100, CIFAR-10 and an embedded one, as uint8 images with labels.

`load_dataset` locates, verifies and reads them; `NORMALIZATIONS` and `split_indices` prepare them for training.
`python -m fastmlp.data` fetches a set and prints its tables. Names are imported on first use, as in `fastmlp` itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastmlp.data.dataset import Dataset as Dataset
    from fastmlp.data.load import load_dataset as load_dataset
    from fastmlp.data.meter import Progress as Progress
    from fastmlp.data.normalize import NORMALIZATIONS as NORMALIZATIONS
    from fastmlp.data.places import DATASET_NAMES as DATASET_NAMES
    from fastmlp.data.places import cache_dir as cache_dir
    from fastmlp.data.split import split_indices as split_indices

_HOME = {
    "DATASET_NAMES": "places",
    "NORMALIZATIONS": "normalize",
    "Dataset": "dataset",
    "Progress": "meter",
    "cache_dir": "places",
    "load_dataset": "load",
    "split_indices": "split",
}

__all__ = ["DATASET_NAMES", "NORMALIZATIONS", "Dataset", "Progress", "cache_dir", "load_dataset", "split_indices"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
