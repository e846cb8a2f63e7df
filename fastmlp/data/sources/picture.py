"""One picture file as a row: the whole picture, both sides scaled to the same length, each by a factor of its own."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastmlp.errors import DataError, MissingExtraError
from fastmlp.files import opened

if TYPE_CHECKING:
    from PIL import Image

# Of a picture as it is decoded, which takes up to 16 bytes a pixel: a JPEG is at an eighth of its width, where it is
# that large.
MOST_PIXELS = 50_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # Pillow knows more, one of which starts another program


def check_pillow() -> str:
    """Return the version of Pillow; MissingExtraError without it."""
    try:
        import PIL
        from PIL import Image  # noqa: F401 - whose compiled part may be what is missing
    except ImportError as error:
        raise MissingExtraError(f"Reading pictures needs Pillow ({error}): pip install 'fastmlp[images]'.") from error
    # Its warnings of odd metadata, colours or sizes: a file that cannot be read is reported by its name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return PIL.__version__


def read_whole_picture(path: Path, size: int, *, grey: bool) -> NDArray[np.uint8]:
    """Return a picture as (3 * size * size,) uint8, red, green, then blue plane, or as (size * size,) where `grey`.

    Nothing is cut off: a picture that is no square is stretched to one, by bicubic interpolation over all pixels that a
    new one covers. One that has size x size pixels is taken as it is. It is rotated as its EXIF data say, transparent
    parts become white, of several frames the first is read, of 16 bits a pixel the upper 8.

    Raises DataError for what is no picture, or has more than `MOST_PIXELS` pixels.
    """
    from PIL import Image, ImageOps

    try:
        with opened(path) as file, Image.open(file, formats=_FORMATS) as image:
            image.draft("RGB", (4 * size, 4 * size))  # JPEG decodes at a fraction of its size in a fraction of the time
            if (pixels := image.width * image.height) > MOST_PIXELS:
                raise DataError(f"it has {pixels:,} pixels, and {MOST_PIXELS:,} are allowed")
            ImageOps.exif_transpose(image, in_place=True)
            plain = _opaque(image).convert("L" if grey else "RGB")
            if plain.size != (size, size):
                plain = plain.resize((size, size), Image.Resampling.BICUBIC)
            pixels = np.asarray(plain)
            return np.ascontiguousarray(pixels if grey else pixels.transpose(2, 0, 1)).reshape(-1)
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(f"it is none of {', '.join(_FORMATS)}") from error
    except Exception as error:  # a damaged picture can raise nearly anything
        raise DataError(str(error) or type(error).__name__) from error


def _opaque(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image
