"""A cache of packed datasets that do not fit in memory, so that later runs need not decode them."""

import json
from hashlib import sha256
from pathlib import Path

from dlkd_core import __version__
from dlkd_core.common import compute_sha256
from dlkd_core.data.read_options import ReadOptions


def find_cached(path: Path, read_options: ReadOptions) -> Path | None:
    """Return the cached packed file of a folder or archive, or None if it has not been cached."""
    if read_options.cache_dir is None or not any(read_options.cache_dir.glob("*.safetensors")):
        return None  # skip hashing the source, which takes time, if the cache is empty
    cached = cache_path(path, read_options.cache_dir, read_options)
    return cached if cached.exists() else None


def cache_path(path: Path, cache_dir: Path, read_options: ReadOptions) -> Path:
    """Return the path at which the packed file of a folder or archive is cached.

    The file name is a digest of three things: the folder or archive, the read options that affect
    its images, and the version of this package.
    """
    key = {
        "size": read_options.image_size,
        "resize": read_options.resize,
        "limits": vars(read_options.limits),
        "version": __version__,
    }
    digest = sha256(json.dumps(key, sort_keys=True).encode())
    digest.update(_source_digest(path))
    return cache_dir / f"{digest.hexdigest()}.safetensors"


def _source_digest(path: Path) -> bytes:
    """Return a digest of an archive's bytes, or of the metadata of a folder's files.

    The metadata consists of the files' names, sizes and modification times. The contents of a
    folder's files are not hashed, because reading all of them takes about half as long as decoding
    them.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        entries = [
            (file.relative_to(path).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
            for file in files
        ]
        return sha256(json.dumps(entries).encode()).digest()
    return bytes.fromhex(compute_sha256(path))
