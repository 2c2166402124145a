"""On-disk cache of teacher outputs, which lets several runs share one teacher's forward passes.

The cache key is a digest of the batch. Batches and views depend only on the seed, so runs
with the same seed, batch size and kind of views (such as the runs of a method comparison or of a
search for loss weights) feed the same batches to the teacher. Cached outputs are bit-identical to
computed ones.
"""

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

from dlkd_core.network_outputs import Outputs

_CREATE_TABLE = (
    "CREATE TABLE IF NOT EXISTS outputs"
    " (batch BLOB PRIMARY KEY, logits BLOB, features BLOB) WITHOUT ROWID"
)
DEFAULT_MAX_BYTES = 4 * 2**30


class TeacherCacheFile(NamedTuple):
    """Path and maximum size of a cache file."""

    path: Path
    max_bytes: int = DEFAULT_MAX_BYTES


class TeacherCache:
    """A teacher's forward pass with its outputs cached in a file. Feature maps are not cached.

    Args:
        forward: Deterministic function from images (N, 3, H, W) to `Outputs`.
        path: SQLite database, created if it does not exist. Several processes can share it.
        namespace: Text that identifies the weights, the normalization and the precision. Apart from
            the images, only these determine the outputs.
        max_bytes: Maximum file size in bytes. Nothing is added once it is reached.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Outputs],
        path: Path,
        namespace: str,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.forward, self.namespace = forward, namespace.encode()
        self.path, self.max_bytes = path, max_bytes
        self.hits = self.misses = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
        # Closes the database when the cache is garbage collected, however the run ends.
        self.close = finalize(self, self._database.close)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a lost entry is computed again
        self._database.execute(_CREATE_TABLE)

    def __call__(self, images: Tensor) -> Outputs:
        """Return the outputs of a batch (N, 3, H, W) without feature maps."""
        key = sha256(self.namespace + images.cpu().contiguous().numpy().data).digest()
        row = self._database.execute(
            "SELECT logits, features FROM outputs WHERE batch = ?", (key,)
        ).fetchone()
        if row:
            self.hits += 1
            logits, features = (_from_bytes(stored, len(images), images.device) for stored in row)
            return Outputs(logits, features, ())
        self.misses += 1
        outputs = self.forward(images)
        if self.path.stat().st_size < self.max_bytes:
            entry = (key, _to_bytes(outputs.logits), _to_bytes(outputs.features))
            self._database.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", entry)
        return outputs._replace(feature_maps=())


def _to_bytes(values: Tensor) -> bytes:
    return values.detach().float().cpu().contiguous().numpy().tobytes()


def _from_bytes(stored: bytes, rows: int, device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(stored, np.float32).copy()).view(rows, -1).to(device)
