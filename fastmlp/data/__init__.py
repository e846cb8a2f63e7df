"""Data sets: CIFAR-100, CIFAR-10 and an embedded one, as uint8 images with labels.

`load_dataset` finds, verifies and reads; `NORMALIZATIONS` and `split_indices` prepare them for training.
`python -m fastmlp.data` fetches a set and prints its tables.
"""

from fastmlp.data.dataset import Dataset
from fastmlp.data.load import DATASET_NAMES, cache_dir, load_dataset
from fastmlp.data.meter import Progress
from fastmlp.data.normalize import NORMALIZATIONS
from fastmlp.data.split import split_indices

__all__ = ["DATASET_NAMES", "NORMALIZATIONS", "Dataset", "Progress", "cache_dir", "load_dataset", "split_indices"]
