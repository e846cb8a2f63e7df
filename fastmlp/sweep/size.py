"""An estimate of the memory that a run takes, by kind, and advice on what would need less."""

from itertools import pairwise
from typing import NamedTuple

from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.normalize import STANDARD
from fastmlp.nn.precision import PRECISIONS

TEST_BATCH = 1024  # rows that are tested at once, whatever the batch size


class Size(NamedTuple):
    """Bytes of a run: arrays as large as the weights, work arrays of a batch, and copies of rows and their moments.

    The rows that all runs share are not counted, nor the 0.2 GB of a process itself.
    """

    weights: int
    work: int
    images: int

    def __str__(self) -> str:
        parts = ", ".join(f"{_amount(size)} for its {name}" for name, size in self._asdict().items())
        return f"{_amount(sum(self))} ({parts})"


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def size_of(config: RunConfig, dataset: Dataset) -> Size:
    """Return the most that a run of this config takes, to within 30 % where that is more than a few megabytes."""
    train, test = len(dataset.train_images), len(dataset.test_images)
    n = max(min(config.batch_size, train), min(TEST_BATCH, test))
    item = 8 if config.precision == "float64" else 4
    units, pairs = sum(config.layers[1:]), [d * h for d, h in pairwise(config.layers)]
    # weights, gradient, the best and those to begin with, and in the end two more for the model's file; then the state
    weights = (6 + config.new_optimizer().slots) * item * (sum(pairs) + units)
    if config.matmul == "blas":
        work = n * item * (config.layers[0] + 2 * units)
    else:
        weights += (2 if config.precision == "bfloat16" else item) * (sum(pairs) + sum(pairs[1:]))  # for both ways
        work = _packed(config, n, units)
    # moments, and numbers of rows; or a copy of the features
    a_row = 2 * item * (1 if config.normalize == "image" else dataset.channels) + 24
    copied = config.normalize == STANDARD or dataset.train_images.dtype != PRECISIONS[config.precision].dtype
    a_row = a_row if config.of_images else 8 + item * config.layers[0] * copied
    images = (train + test) * a_row
    if config.augment != "none":
        images += train * config.layers[0]
    work += (
        n * item * ((config.dropout > 0) * (units - config.layers[-1]) + (config.input_dropout > 0) * config.layers[0])
    )
    return Size(weights, work, images)


def _packed(config: RunConfig, n: int, units: int) -> int:
    from fastmlp_kernels.gemm.blocks import MC, a_elements, c_elements  # here: who looks at results needs no kernels
    from fastmlp_kernels.gemm.elements import ELEMENTS

    element, widest = ELEMENTS[config.precision], max(config.layers[1:])
    block = a_elements(element) + c_elements(widest) + 2 * MC * widest
    values = n * units * {"float32": 8, "float64": 16, "bfloat16": 6, "int8": 10}[config.precision]
    return config.threads * block * element.unit.itemsize + values


def out_of_memory(config: RunConfig, dataset: Dataset | None) -> str:
    """Return sentences on the memory that a run takes, where its data set is known, and on what would need less."""
    taken = "" if dataset is None else f"The run takes about {size_of(config, dataset)}, its process 0.2 GB more. "
    less = ["smaller layers", "a smaller batch"]
    less += ["precision float32"] * (config.precision == "float64") + ["augment none"] * (config.augment != "none")
    less += ["fewer --threads"] * (config.threads > 1)
    return f"{taken}Less is needed by {', '.join(less)}, and by fewer --jobs at once."
