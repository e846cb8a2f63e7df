"""Reading image files, of any size and format, and arrays in .npy files, as the rows that a network takes."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import DataError, MissingExtraError
from fastmlp.files import opened
from fastmlp.nn.threads import usable_cores
from fastmlp.npy import mapped

if TYPE_CHECKING:
    from PIL import Image

SIDE = 32  # pixels, of the images that CIFAR's networks know
# Of a picture as it is decoded, which takes up to 16 bytes a pixel: a JPEG is at an eighth of its width, where it is
# that large.
MOST_PIXELS = 50_000_000
AT_ONCE = 1024  # rows of an array that are read together
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
ARRAYS = (".npy",)
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")  # Pillow knows more, one of which starts another program


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one file, or the reason why it cannot be used.

    source : the file, in words; x : (M, D) uint8 for pictures, else of the file's dtype
    first : number of x's first row in the file; wrong : the reason, a sentence; empty where there is none
    """

    source: str
    x: np.ndarray
    first: int = 0
    wrong: str = ""


def find(paths: Iterable[Path]) -> list[Path]:
    """Return these files, and for each folder all pictures and arrays in it; DataError where a path does not exist."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in (*PICTURES, *ARRAYS) and p.is_file())
            if not inside:
                raise DataError(f"{path} holds no images; looked for are {', '.join((*PICTURES, *ARRAYS))}.")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"{path} is not there. Allowed are image files, .npy files and folders of them.")
    return files


def read_all(
    paths: Iterable[Path], features: int, *, pictures: bool, read: Callable[[Path], NDArray[np.uint8]] | None = None
) -> Iterator[Rows]:
    """Yield the rows of all files in their order, at most AT_ONCE at a time, read by as many threads as cores.

    features : D of the network; pictures : whether it takes uint8 images; if not, real numbers
    read : returns a picture (D,) uint8; None for `read_picture`, where that has D
    """
    if read is None and pictures and features == 3 * SIDE * SIDE:
        read = read_picture
    # Pillow's, on odd metadata, colours or sizes: a file that cannot be read is reported by its name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    cores = usable_cores()
    with ThreadPoolExecutor(cores) as pool:

        def one(path: Path) -> Rows | None:
            return None if path.suffix.lower() in ARRAYS else _picture(path, features, read)

        for some in _batches(paths, 8 * cores):
            for path, rows in zip(some, pool.map(one, some), strict=True):
                if rows is not None:
                    yield rows
                else:
                    yield from _array(path, features, pictures=pictures)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return a picture's centre square, scaled to 32 x 32 pixels, as (3072,) uint8: red, green, then blue plane.

    It is rotated as its EXIF data say, and transparent parts become white. 32 x 32 pixels are taken as they are. Raises
    DataError for what is no picture, or has more than `MOST_PIXELS` pixels, MissingExtraError without Pillow.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingExtraError(f"Reading pictures needs Pillow ({error}): pip install 'fastmlp[images]'.") from error
    try:
        with opened(path) as file, Image.open(file, formats=_FORMATS) as image:
            # JPEG decodes at a fraction of its size in a fraction of the time
            image.draft("RGB", (4 * SIDE, 4 * SIDE))
            if (pixels := image.width * image.height) > MOST_PIXELS:
                raise DataError(f"it has {pixels:,} pixels, and {MOST_PIXELS:,} are allowed; make it smaller")
            ImageOps.exif_transpose(image, in_place=True)
            return _square(image)
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(f"it cannot be read as a picture; allowed are {', '.join(_FORMATS)}") from error
    except Exception as error:  # a damaged picture can raise nearly anything
        raise DataError(f"it cannot be read as a picture ({error or type(error).__name__})") from error


def _square(image: "Image.Image") -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (SIDE, SIDE):
        image = ImageOps.fit(image, (SIDE, SIDE))
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)).reshape(-1)


def read_array(path: Path, features: int, *, pictures: bool) -> np.ndarray:
    """Return the rows (M, D) of a .npy file, mapped: uint8 for pictures, else of any real dtype.

    features : D; pictures : whether the network takes images. Then uint8 arrays of shape (M, height, width, 3) or
        (height, width, 3) become rows too

    Raises DataError where the file holds anything else.
    """
    try:
        x = mapped(path, "r")
    except (OSError, DataError) as error:
        raise DataError(f"it is no .npy file that can be read ({error})") from error
    if pictures and x.dtype == np.uint8 and x.shape[-1:] == (3,) and x.ndim in (3, 4):
        x = x.reshape(-1, *x.shape[-3:])
        if x.shape[1] * x.shape[2] * 3 == features:
            return np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), -1)
    if x.ndim != 2 or x.shape[1] != features or (x.dtype != np.uint8 if pictures else x.dtype.kind not in "fiub"):
        kind = "uint8, with values (M, 32, 32, 3) or in planes " if pictures else "real numbers of shape "
        raise DataError(f"it holds {x.dtype} of shape {x.shape}, this model takes {kind}(M, {features})")
    return x


def _picture(path: Path, features: int, read: Callable[[Path], NDArray[np.uint8]] | None) -> Rows:
    try:
        if read is None:
            raise DataError(f"it is no .npy file, and this model takes rows of {features} numbers, no pictures")
        return Rows(str(path), read(path)[None])
    except MissingExtraError:
        raise
    except DataError as error:
        return Rows(str(path), np.empty((0, features)), wrong=str(error))


def _array(path: Path, features: int, *, pictures: bool) -> Iterator[Rows]:
    try:
        x = read_array(path, features, pictures=pictures)
        for first in range(0, len(x), AT_ONCE):
            yield Rows(str(path), np.array(x[first : first + AT_ONCE]), first)
    except DataError as error:
        yield Rows(str(path), np.empty((0, features)), wrong=str(error))


def _batches(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    paths = iter(paths)
    while some := list(islice(paths, size)):
        yield some
