"""Decodes one image to a uint8 RGB array. The format and the number of pixels are restricted."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ImageUnreadable
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
Pixels = npt.NDArray[np.uint8]
_FILTER = Image.Resampling.BILINEAR  # the default of torchvision's Resize
_EXIF_ORIENTATION = 0x0112
_DECODE_ERRORS = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def read_image_size(content: bytes, name: str, limits: DatasetLimits) -> tuple[int, int]:
    """Read an image's height and width from its header, with the EXIF orientation applied.

    Raises:
        ImageUnreadable: the image cannot be decoded or has too many pixels.
    """
    with _open_image(content, name, limits) as image:
        # EXIF orientations 5 to 8 swap height and width.
        is_sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
        return (image.width, image.height) if is_sideways else (image.height, image.width)


def decode_image(
    content: bytes,
    name: str,
    limits: DatasetLimits,
    size: tuple[int, int],
    resize: ResizeMode = DEFAULT_RESIZE,
) -> Pixels:
    """Decode an image to (3, H, W) uint8 RGB and resize it to `size` (H, W).

    Raises:
        ImageUnreadable: the image cannot be decoded or has too many pixels.
    """
    with _open_image(content, name, limits) as opened:
        image = _to_rgb(ImageOps.exif_transpose(opened))
    if (image.height, image.width) != size:
        image = _resize(image, size, resize)
    return np.asarray(image).transpose(2, 0, 1)


def resize_image(pixels: Pixels, size: tuple[int, int], resize: ResizeMode) -> Pixels:
    """Resize a decoded image (3, h, w) to (3, H, W)."""
    if pixels.shape[1:] == size:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return np.asarray(_resize(image, size, resize)).transpose(2, 0, 1)


def _resize(image: Image.Image, size: tuple[int, int], mode: ResizeMode) -> Image.Image:
    height, width = size
    match mode:
        case ResizeMode.STRETCH:
            return image.resize((width, height), _FILTER)
        case ResizeMode.CROP:
            return ImageOps.fit(image, (width, height), _FILTER)
        case ResizeMode.PAD:
            return ImageOps.pad(image, (width, height), _FILTER, color="black")


@contextmanager
def _open_image(content: bytes, name: str, limits: DatasetLimits) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > limits.image_pixels:
                raise ImageUnreadable(
                    f"{name} has {image.width} x {image.height} pixels, "
                    f"more than the limit of {limits.image_pixels}."
                )
            yield image
    except UnidentifiedImageError as error:
        raise ImageUnreadable(
            f"{name} is not an image in a supported format ({', '.join(FORMATS)})."
        ) from error
    except _DECODE_ERRORS as error:
        raise ImageUnreadable(f"{name} cannot be decoded: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    # Pillow would clip the values of 16-bit images instead of scaling them.
    if image.mode.startswith("I"):
        scaled = (np.asarray(image, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
