"""The table of augmentations: what may happen to a training image. `fastmlp.nn.augment` does it."""

from typing import NamedTuple


class Augmentation(NamedTuple):
    """What may happen to an image: a mirror in half of the cases, a shift by up to so many pixels each way."""

    mirror: bool
    shift: int


# "none" is not here: without it, images are read where they lie.
AUGMENTATIONS = {"mirror": Augmentation(True, 0), "mirror-shift": Augmentation(True, 2)}
