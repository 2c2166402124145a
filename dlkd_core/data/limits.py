"""What a data set may hold. Archives come from strangers: every cap is checked before the bytes are used."""

from dataclasses import dataclass, replace

ARRAYS_ADVICE = "Send the images as files, Parquet or WebDataset: those need not fit in memory. Or give the worker more of it."


@dataclass(frozen=True)
class Limits:
    """Caps; sizes in bytes."""

    files: int = 2_000_000
    file_bytes: int = 64 << 20
    total_bytes: int = 256 << 30
    ratio: int = 200  # unpacked to packed size of the whole archive, above 64 MiB
    depth: int = 12  # path components
    image_pixels: int = 64_000_000
    packed_bytes: int = 256 << 30  # of all images decoded, in memory or on disk
    broken_share: float = 0.01  # of the training images; up to so many are left out and listed, more end it

    advice: str | None = None  # on a file that is larger than that

    def of_arrays(self, memory: int) -> "Limits":
        """The same where a file holds all images, and has to fit in memory."""
        return replace(self, file_bytes=min(memory, self.packed_bytes), advice=ARRAYS_ADVICE)


DEFAULT_LIMITS = Limits()
