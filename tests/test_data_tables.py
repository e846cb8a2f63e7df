from dataclasses import replace

import numpy as np
import pytest

from fastmlp.data.dataset import Dataset
from fastmlp.data.tables import class_table, split_table, statistics_table
from fastmlp.errors import ConfigError
from fastmlp.table import Table


@pytest.fixture
def data(rng) -> Dataset:
    images = rng.integers(0, 256, (12, 3072)).astype(np.uint8)
    fine = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    return Dataset(
        name="cifar10",
        train_images=images[:9],
        train_labels={"fine": fine},
        test_images=images[9:],
        test_labels={"fine": np.array([0, 1, 1])},
        label_names={"fine": ("cat", "dog", "eel", "fox")},
        source="a test",
    )


def cells(table: Table) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.markdown().splitlines()]


def test_tables_are_markdown_and_line_up(data):
    for table in (split_table(data), class_table(data, "fine"), statistics_table(data, 3)):
        lines = table.markdown().splitlines()
        assert len({len(line) for line in lines}) == 1
        assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
        assert cells(table)[1] == [":" + "-" * (len(cells(table)[1][0]) - 1), *(rule for rule in cells(table)[1][1:])]
        assert len({len(row) for row in cells(table)}) == 1


def test_split_shares(data):
    assert cells(split_table(data))[2:] == [
        ["training", "9", "75.00%"],
        ["test", "3", "25.00%"],
        ["total", "12", "100.00%"],
    ]


def test_classes_without_images_are_shown(data):
    assert cells(class_table(data, "fine"))[2:] == [
        ["cat", "3", "1", "4"],
        ["dog", "4", "2", "6"],
        ["eel", "2", "0", "2"],
        ["fox", "0", "0", "0"],
    ]


def test_labels_that_are_not_there(data):
    with pytest.raises(ConfigError, match="cifar10 has no coarse labels; choose one of fine"):
        class_table(data, "coarse")


def test_statistics_of_the_report_before_and_after(data):
    head, _, *rows = cells(statistics_table(data, 3))
    assert head == ["training image 3", "before", "after image", "after channel", "after dataset"]
    table = {row[0]: dict(zip(head[1:], map(float, row[1:]), strict=True)) for row in rows}
    image = data.train_images[3].astype(np.float64)
    assert table["mean, whole image"]["before"] == pytest.approx(image.mean(), abs=1e-6)
    assert table["std, blue"]["before"] == pytest.approx(image[2048:].std(), abs=1e-6)
    for colour in ("whole image", "red", "green", "blue"):
        assert table[f"mean, {colour}"]["after channel"] == 0
        assert table[f"std, {colour}"]["after channel"] == 1
    assert (table["mean, whole image"]["after image"], table["std, whole image"]["after image"]) == (0, 1)
    pixels = data.train_images.reshape(9, 3, 1024).astype(np.float64)[:, 0]
    expected = (image[:1024].mean() - pixels.mean()) / pixels.std()
    assert table["mean, red"]["after dataset"] == pytest.approx(expected, abs=1e-6)
    assert "-0.000000" not in statistics_table(data, 3).markdown()


@pytest.mark.parametrize("index", [-1, 9])
def test_an_image_that_is_not_there(data, index):
    with pytest.raises(ConfigError, match=rf"no training image {index}; choose one of 0\.\.8"):
        statistics_table(replace(data), index)
