"""Which uploads are under way, kept in the user's cache folder, so that a later process goes on with them."""

from hashlib import sha256
from pathlib import Path

import platformdirs


class Ledger:
    """One entry: the upload of the file of that digest to the service at that address."""

    def __init__(self, url: str, digest: str) -> None:
        name = sha256(f"{url} {digest}".encode()).hexdigest()
        self._file = Path(platformdirs.user_cache_dir("dlkd")) / "uploads" / name

    def place(self) -> str | None:
        """The path of the upload at the service."""
        return self._file.read_text() if self._file.exists() else None

    def remember(self, place: str) -> str:
        """Notes it; returns it."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file.write_text(place)
        return place

    def forget(self) -> None:
        """It is complete, or it is gone."""
        self._file.unlink(missing_ok=True)
