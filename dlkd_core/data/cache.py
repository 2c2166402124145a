"""Data sets that memory does not hold, kept packed under what they were made from: the next run decodes nothing."""

import json
from hashlib import file_digest, sha256
from pathlib import Path

from dlkd_core import __version__
from dlkd_core.data.reading import Reading


def kept(path: Path, reading: Reading) -> Path | None:
    """The packed file of a source, where the cache has it."""
    if reading.cache is None or not any(reading.cache.glob("*.safetensors")):
        return None  # nothing is worth the time to look through the source
    place = place_of(path, reading.cache, reading)
    return place if place.exists() else None


def place_of(path: Path, cache: Path, reading: Reading) -> Path:
    """Where the packed file of a source belongs: named by its digest, by how its images are read, and by this version."""
    how = {"size": reading.size, "resize": reading.resize, "limits": vars(reading.limits), "version": __version__}
    digest = sha256(json.dumps(how, sort_keys=True).encode())
    digest.update(_digest(path))
    return cache / f"{digest.hexdigest()}.safetensors"


def _digest(path: Path) -> bytes:
    """Of an archive's bytes; of a folder's names, sizes and times: reading all of its files would be half of the decoding."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        told = [(file.relative_to(path).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return sha256(json.dumps(told).encode()).digest()
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()
