"""What identifies the bytes of a file."""

from hashlib import file_digest
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Its sha256 in hexadecimal, read piece by piece."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
