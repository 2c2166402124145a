"""The client's cache folder, with downloaded models and the state of unfinished uploads."""

from hashlib import sha256
from pathlib import Path

import platformdirs


def cached_model_path(sha256_digest: str, suffix: str) -> Path:
    """Return the path at which the model file with the given digest is cached."""
    return _cache_folder() / "models" / f"{sha256_digest}{suffix}"


class UploadState:
    """The saved state of an unfinished upload, keyed by the service's URL and the file's digest."""

    def __init__(self, url: str, digest: str) -> None:
        name = sha256(f"{url} {digest}".encode()).hexdigest()
        self._file = _cache_folder() / "uploads" / name

    def load(self) -> str | None:
        """Return the URL path of the unfinished upload, or None if no upload is saved."""
        return self._file.read_text() if self._file.exists() else None

    def save(self, upload_path: str) -> str:
        """Save the URL path of the upload and return it."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file.write_text(upload_path)
        return upload_path

    def delete(self) -> None:
        """Delete the saved state."""
        self._file.unlink(missing_ok=True)


def _cache_folder() -> Path:
    return Path(platformdirs.user_cache_dir("dlkd"))
