"""Images that are drawn anew for each epoch, beside numpy's way to mirror and shift them."""

import numpy as np
import pytest

from fastmlp import MLP, SGD, reference
from fastmlp.config import AUGMENTS
from fastmlp.errors import DataError
from fastmlp.nn.augment import AugmentedImages
from fastmlp.nn.augmentations import AUGMENTATIONS, Augmentation
from fastmlp.nn.inputs import EpochInput

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3072), np.uint8)
ROWS = np.random.default_rng(1).permutation(40)[:25]


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, inv_std = reference.image_moments(images, 3)
    return mean.astype(np.float32), inv_std.astype(np.float32)


def augmented(augmentation: Augmentation, sides: tuple[int, int] = (32, 32)) -> AugmentedImages:
    return AugmentedImages(IMAGES, ROWS, moments, augmentation, sides)


def all_versions(
    image: np.ndarray, augmentation: Augmentation, sides: tuple[int, int]
) -> dict[tuple[bool, int, int], bytes]:
    """Each version of one image, by numpy: its edge is repeated, it is cut out again, then mirrored."""
    most, (height, width) = augmentation.shift, sides
    wide = np.pad(image.reshape(-1, height, width), ((0, 0), (most, most), (most, most)), "edge")
    return {
        (mirror, down, right): wide[:, most - down : most - down + height, most - right : most - right + width][
            :, :, :: -1 if mirror else 1
        ].tobytes()
        for mirror in ((False, True) if augmentation.mirror else (False,))
        for down in range(-most, most + 1)
        for right in range(-most, most + 1)
    }


@pytest.mark.parametrize("augmentation", [*AUGMENTATIONS.values(), Augmentation(False, 3)], ids=str)
@pytest.mark.parametrize("sides", [(32, 32), (16, 64), (24, 128)], ids=str)
def test_each_image_becomes_one_of_its_versions_and_all_of_them_come_up(augmentation, sides):
    inputs, rng, seen, versions = augmented(augmentation, sides), np.random.default_rng(5), set(), {}
    for _ in range(20):
        inputs.begin_epoch(rng)
        for row, image in zip(ROWS, inputs.source().x, strict=True):
            versions = all_versions(IMAGES[row], augmentation, sides)
            [which] = [key for key, version in versions.items() if version == image.tobytes()]
            seen.add(which)
    # 500 draws of at most 50 versions miss a given one with probability 0.98 ** 500 = 4e-5
    assert seen == set(versions)


def test_the_rows_are_normalised_by_their_own_moments_as_drawn():
    inputs = augmented(AUGMENTATIONS["mirror-shift"])
    inputs.begin_epoch(np.random.default_rng(2))
    index, out = np.array([3, 24, 0]), np.empty((3, 3072), np.float32)
    inputs.gather(index, out)
    drawn = inputs.source().x
    np.testing.assert_array_equal(out, reference.gather_normalize(drawn, index, *moments(drawn)).astype(np.float32))


def test_before_the_first_epoch_the_rows_are_as_they_are():
    inputs = augmented(AUGMENTATIONS["mirror"])
    np.testing.assert_array_equal(inputs.source().x, IMAGES[ROWS])
    assert (len(inputs), inputs.features) == (25, 3072)
    assert isinstance(inputs, EpochInput)


def test_the_same_generator_draws_the_same():
    one, other = augmented(AUGMENTATIONS["mirror-shift"]), augmented(AUGMENTATIONS["mirror-shift"])
    one.begin_epoch(np.random.default_rng(3))
    other.begin_epoch(np.random.default_rng(8))
    assert not np.array_equal(one.source().x, other.source().x)
    other.begin_epoch(np.random.default_rng(3))
    np.testing.assert_array_equal(one.source().x, other.source().x)


def test_training_draws_them_anew_for_each_epoch():
    inputs, labels, seen = augmented(AUGMENTATIONS["mirror-shift"]), np.arange(25) % 4, []
    mlp = MLP([3072, 8, 4], threads=1)
    mlp.fit(inputs, labels, epochs=3, optimizer=SGD(), on_epoch=lambda *_: seen.append(inputs.source().x.tobytes()))
    assert len(set(seen)) == 3


def test_names_of_augmentations_are_those_that_a_config_may_have():
    assert ("none", *AUGMENTATIONS) == AUGMENTS


@pytest.mark.parametrize("images", [IMAGES[:, :-1], IMAGES.astype(np.float32), IMAGES[0]], ids=str)
def test_other_images_are_refused(images):
    with pytest.raises(DataError, match=r"images are .* expected uint8 \(images, planes of 32 x 32\)"):
        AugmentedImages(images, np.array([0]), moments, AUGMENTATIONS["mirror"])


def test_rows_that_are_not_there_are_refused():
    with pytest.raises(DataError, match="rows hold 0 to 40, allowed is 0 to 39"):
        AugmentedImages(IMAGES, np.array([0, 40]), moments, AUGMENTATIONS["mirror"])
