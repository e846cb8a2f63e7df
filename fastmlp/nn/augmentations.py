"""The table of augmentations, random changes of training images, which `fastmlp.nn.augment` makes."""

from typing import NamedTuple


class Augmentation(NamedTuple):
    """A random change of an image: mirrored in half of the cases, shifted by up to `shift` pixels each way."""

    mirror: bool
    shift: int


# "none" is not here: without it, images are read where they lie.
AUGMENTATIONS = {"mirror": Augmentation(True, 0), "mirror-shift": Augmentation(True, 2)}
