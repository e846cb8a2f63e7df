"""Pictures in class folders, and what reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastmlp.data.sources.read import read_raw


def pixels(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, array: np.ndarray, **settings: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **settings)
    return path


def planes(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 0, 1).reshape(-1)


@pytest.fixture(name="read")
def read_pictures(tmp_path: Path) -> Callable[..., Any]:
    def read(path: Path, **settings: Any) -> Any:
        return read_raw(path, **{"cache": tmp_path / "cache", "tell": told.append} | settings)

    told: list[str] = []
    read.told = told  # type: ignore[attr-defined]
    return read


@pytest.fixture(name="folder")
def pictures_folder(tmp_path: Path) -> Path:
    """Three pictures of cats, two of dogs, in a path with blanks and other letters."""
    place = tmp_path / "мои pictures" / "数据"
    for i, name in enumerate(("cat/a", "cat/b c", "cat/deep/er/ü", "dög/d", "dög/e")):
        save(place / f"{name}.png", pixels(i))
    return place
