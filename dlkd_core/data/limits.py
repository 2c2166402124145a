"""What a data set may hold. Archives come from strangers: every cap is checked before the bytes are used."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """Caps; sizes in bytes."""

    files: int = 2_000_000
    file_bytes: int = 64 << 20
    total_bytes: int = 64 << 30
    ratio: int = 200  # unpacked to packed size of the whole archive, above 64 MiB
    depth: int = 12  # path components
    image_pixels: int = 64_000_000
    packed_bytes: int = 8 << 30  # of all images decoded
    broken_share: float = 0.01  # of the training images; up to so many are left out and listed, more end it

    def of_containers(self) -> "Limits":
        """The same where a file holds many images: arrays, tables, shards."""
        return replace(self, file_bytes=self.packed_bytes)


DEFAULT_LIMITS = Limits()
