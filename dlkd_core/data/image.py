"""One encoded image to one uint8 RGB array. Pillow with a list of allowed formats and a cap on pixels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from dlkd_core.data.limits import Limits
from dlkd_core.errors import ImageUnreadable
from dlkd_core.spec import DEFAULT_RESIZE, Resize

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
Pixels = npt.NDArray[np.uint8]
_FILTER = Image.Resampling.BILINEAR  # as torchvision's and the field's resizing of photographs
_BROKEN = (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def image_size(content: bytes, name: str, limits: Limits) -> tuple[int, int]:
    """Height and width, from the header alone, as the image will be decoded (EXIF orientation applied)."""
    with _opened(content, name, limits) as image:
        sideways = image.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8 swap the sides
        return (image.width, image.height) if sideways else (image.height, image.width)


def decode(content: bytes, name: str, limits: Limits, size: tuple[int, int], resize: Resize = DEFAULT_RESIZE) -> Pixels:
    """The image as (3, H, W) uint8 RGB, brought to `size` (H, W) as `resize` says where it has another."""
    with _opened(content, name, limits) as opened:
        image = _rgb(ImageOps.exif_transpose(opened))
    if (image.height, image.width) != size:
        image = _RESIZERS[resize](image, (size[1], size[0]))
    return np.asarray(image).transpose(2, 0, 1)


def resized(pixels: Pixels, size: tuple[int, int], resize: Resize) -> Pixels:
    """A decoded image (3, h, w) brought to (3, H, W)."""
    if pixels.shape[1:] == size:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return np.asarray(_RESIZERS[resize](image, (size[1], size[0]))).transpose(2, 0, 1)


def _stretch(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, _FILTER)


def _crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, _FILTER)


def _pad(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.pad(image, size, _FILTER, color="black")


_RESIZERS: dict[Resize, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {"stretch": _stretch, "crop": _crop, "pad": _pad}


@contextmanager
def _opened(content: bytes, name: str, limits: Limits) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > limits.image_pixels:
                pixels = f"{image.width} x {image.height} pixels"
                raise ImageUnreadable(f"{name} has {pixels}, more than the limit of {limits.image_pixels}.")
            yield image
    except UnidentifiedImageError as error:
        raise ImageUnreadable(f"{name} is not an image in a known format ({', '.join(FORMATS)}).") from error
    except _BROKEN as error:
        raise ImageUnreadable(f"{name} does not decode: {error}") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion would clip instead of scaling
        return Image.fromarray((np.asarray(image, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
