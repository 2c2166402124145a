"""Decodes one image to a uint8 array. The format and the number of pixels are restricted."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageMode, ImageOps, UnidentifiedImageError

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ImageUnreadable
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
Pixels = npt.NDArray[np.uint8]
# White in floating-point images, and in images of 8, 10, 12, 14 and 16 bits
_WHITE_VALUES = (1.0, *(2.0**bits - 1 for bits in (8, 10, 12, 14, 16)))
_FILTER = Image.Resampling.BILINEAR  # the default of torchvision's Resize
_EXIF_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_RAW_MODE_BITS = re.compile(r";(\d+)")
_MAX_GRAY_CHANNELS = 2  # gray and transparency


class ImageFormat(NamedTuple):
    """The size of an image file, its channels and the bits per channel."""

    height: int
    width: int
    channels: int
    bits: int

    @property
    def is_gray(self) -> bool:
        """Whether the image has no colors."""
        return self.channels <= _MAX_GRAY_CHANNELS


class ImageHeader(NamedTuple):
    """What is known about an image before it is decoded.

    Args:
        format: size and channels, with the EXIF orientation applied.
        value_range: range of the values, or None for images with 8 bits or less, of which only the
            header is read.
        has_damaged_orientation: whether the EXIF orientation cannot be read.
    """

    format: ImageFormat
    value_range: "ValueRange | None"
    has_damaged_orientation: bool


class ValueRange(NamedTuple):
    """The values of images with more than 8 bits."""

    smallest: float
    largest: float

    def union(self, other: "ValueRange | None") -> "ValueRange":
        """Return the range of both."""
        if other is None:
            return self
        return ValueRange(min(self.smallest, other.smallest), max(self.largest, other.largest))

    @property
    def limits(self) -> tuple[float, float]:
        """The values that become black and white.

        Values from 0 to 1 and from 0 to 255 keep their meaning. Other values from 0 are taken as
        numbers with the smallest usual number of bits, and negative values as a range of their own.
        """
        if self.smallest < 0:
            return self.smallest, self.largest
        white = next((value for value in _WHITE_VALUES if self.largest <= value), self.largest)
        return 0.0, white


def read_image_header(content: bytes, name: str, limits: DatasetLimits) -> ImageHeader:
    """Read an image's format, and the range of its values if it has more than 8 bits.

    Raises:
        ImageUnreadable: the image cannot be decoded or has too many pixels.
    """
    with _open_image(content, name, limits) as image:
        orientation = _read_orientation(image)
        # EXIF orientations 5 to 8 swap height and width.
        is_sideways = orientation is not None and orientation >= 5
        size = (image.width, image.height) if is_sideways else (image.height, image.width)
        image_format = ImageFormat(*size, *_count_channels_and_bits(image))
        if not _has_wide_values(image):
            return ImageHeader(image_format, None, orientation is None)
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ImageUnreadable(f"{name} contains NaN or infinite values.")
        value_range = ValueRange(float(values.min()), float(values.max()))
        return ImageHeader(image_format, value_range, orientation is None)


def decode_image(
    content: bytes,
    name: str,
    limits: DatasetLimits,
    shape: tuple[int, int, int],
    resize: ResizeMode = DEFAULT_RESIZE,
    value_range: ValueRange | None = None,
) -> Pixels:
    """Decode an image to uint8 and resize it to `shape` (C, H, W), where C is 1 or 3.

    An image with more than 8 bits is scaled by `value_range`, the range of the whole dataset.

    Raises:
        ImageUnreadable: the image cannot be decoded or has too many pixels.
    """
    with _open_image(content, name, limits) as opened:
        transposition = _TRANSPOSITIONS.get(_read_orientation(opened) or 1)
        upright = opened if transposition is None else opened.transpose(transposition)
        image = _to_rgb(upright, value_range)
    channels, *sides = shape
    size = sides[0], sides[1]
    if channels == 1:
        image = image.convert("L")
    if (image.height, image.width) != size:
        image = _resize(image, size, resize)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resize_image(pixels: Pixels, size: tuple[int, int], resize: ResizeMode) -> Pixels:
    """Resize a decoded image (C, h, w) to (C, H, W)."""
    if pixels.shape[1:] == size:
        return pixels
    if len(pixels) == RGB_CHANNELS:
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        return np.asarray(_resize(image, size, resize)).transpose(2, 0, 1)
    channels = [_resize(Image.fromarray(channel), size, resize) for channel in pixels]
    return np.stack([np.asarray(channel) for channel in channels])


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
def _open_image(content: bytes, name: str, limits: DatasetLimits) -> Iterator[ImageFile.ImageFile]:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check_size(image, name, limits)
            yield image
    except UnidentifiedImageError as error:
        raise ImageUnreadable(
            f"{name} is not an image in a supported format ({', '.join(FORMATS)})."
        ) from error
    except ImageUnreadable:
        raise
    except Exception as error:  # Pillow's readers do not say what they raise for damaged files
        raise_if_out_of_memory(error, name)
        reason = str(error) or type(error).__name__
        raise ImageUnreadable(f"{name} cannot be decoded: {reason}") from error


def _check_size(image: Image.Image, name: str, limits: DatasetLimits) -> None:
    if not image.width * image.height:
        raise ImageUnreadable(f"{name} has no pixels.")
    if image.width * image.height > limits.image_pixels:
        raise ImageUnreadable(
            f"{name} has {image.width} x {image.height} pixels, "
            f"more than the limit of {limits.image_pixels}."
        )


def _read_orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation from 1 to 8, or None if it is damaged.

    An orientation that is missing or 0, which some cameras write, counts as 1.
    """
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 0)
        if orientation == 0:
            return None if _is_exif_cut_off(image) else 1
    except Exception as error:  # noqa: BLE001 - Pillow's parser does not say what it raises
        raise_if_out_of_memory(error, "the metadata of an image")
        return None
    return orientation if orientation in range(1, 9) else None


def _is_exif_cut_off(image: Image.Image) -> bool:
    """Return whether the EXIF data ends too early. Pillow only warns about this, and only once."""
    if not image.info.get("exif"):
        return False
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Image.Exif().load(image.info["exif"])
    return bool(found)


def _count_channels_and_bits(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Return the number of channels and of bits per channel in the file.

    Pillow reads PNG and TIFF files with 16 bits and several channels as 8 bits. In these formats,
    the raw mode names the number of bits in the file, as in `RGB;16B`.
    """
    if image.palette is not None:
        return len(image.palette.mode), 8
    bits = 1 if image.mode == "1" else 8 * np.dtype(ImageMode.getmode(image.mode).typestr).itemsize
    if image.format in ("PNG", "TIFF") and image.tile:
        arguments = image.tile[0].args
        raw_mode = arguments[0] if isinstance(arguments, tuple) else arguments
        if match := _RAW_MODE_BITS.search(str(raw_mode)):
            bits = int(match[1])
    return len(image.getbands()), bits


def _has_wide_values(image: Image.Image) -> bool:
    """Return whether the values have more than 8 bits. Pillow would clip and not scale them."""
    return image.mode == "F" or image.mode.startswith("I")


def _to_rgb(image: Image.Image, value_range: ValueRange | None) -> Image.Image:
    if _has_wide_values(image):
        values = np.asarray(image, dtype=np.float64)
        black, white = (value_range or ValueRange(values.min(), values.max())).limits
        scaled = ((values - black) * (255 / max(white - black, 1e-12))).round().clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
