"""A teacher's outputs, kept on disk by the content of the batch: runs that show it the same images run it once.

Batches and views are drawn from the seed alone, so runs with one seed, batch size and kind of views (a comparison of methods, a
search for weights) show a teacher the same batches, whatever else they do. Exact: the bits are those that this very batch gave.
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

from dlkd_core.outputs import Outputs

_TABLE = "CREATE TABLE IF NOT EXISTS outputs (batch BLOB PRIMARY KEY, logits BLOB, features BLOB) WITHOUT ROWID"
DEFAULT_BUDGET = 4 * 2**30


class CacheFile(NamedTuple):
    """A cache's file, and how many bytes it may have."""

    file: Path
    budget: int = DEFAULT_BUDGET


class TeacherCache:
    """A teacher's forward pass that answers from `file` what it has answered before. Block outputs are not kept.

    Args:
        forward: images (N, 3, H, W) to `Outputs`, deterministic.
        file: an SQLite database, made where there is none; several processes may share it.
        name: what decides the outputs beside the images (weights, normalisation, arithmetic).
        budget: bytes of the file after which nothing more is kept.
    """

    def __init__(self, forward: Callable[[Tensor], Outputs], file: Path, name: str, budget: int = DEFAULT_BUDGET) -> None:
        self.forward, self.name, self.file, self.budget = forward, name.encode(), file, budget
        self.hits = self.misses = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, timeout=60, isolation_level=None)
        self.close = finalize(self, self._database.close)  # a run drops it where it ends, whichever way
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")  # a lost entry is computed again
        self._database.execute(_TABLE)

    def __call__(self, images: Tensor) -> Outputs:
        """The outputs of a batch, without block outputs."""
        key = sha256(self.name + images.cpu().contiguous().numpy().data).digest()
        found = self._database.execute("SELECT logits, features FROM outputs WHERE batch = ?", (key,)).fetchone()
        if found:
            self.hits += 1
            logits, features = (_tensor(part, len(images), images.device) for part in found)
            return Outputs(logits, features, ())
        self.misses += 1
        outputs = self.forward(images)
        self._keep(key, outputs)
        return outputs._replace(maps=())

    def _keep(self, key: bytes, outputs: Outputs) -> None:
        if self.file.stat().st_size < self.budget:
            entry = (key, _bytes(outputs.logits), _bytes(outputs.features))
            self._database.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", entry)


def _bytes(values: Tensor) -> bytes:
    return values.detach().float().cpu().contiguous().numpy().tobytes()


def _tensor(stored: bytes, rows: int, device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(stored, np.float32).copy()).view(rows, -1).to(device)
