"""Where training can go on from: everything that the next step depends on, in one file, renamed into place."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dlkd_core.averaging import Average
from dlkd_core.errors import CheckpointCorrupt
from dlkd_core.losses import Objective
from dlkd_core.models import Tapped
from dlkd_core.precision import FLOAT32
from dlkd_core.progress import Progress
from dlkd_core.randomness import random_state, restore_random

FILE = "checkpoint.pt"
_FORMAT = "dlkd-checkpoint-1"


@dataclass(frozen=True)
class State:
    """The live parts of a run that a checkpoint holds."""

    student: Tapped
    objective: Objective
    optimizer: torch.optim.Optimizer
    average: Average | None = None
    scaler: torch.amp.GradScaler = field(default_factory=FLOAT32.scaler)
    progress: Progress = field(default_factory=Progress)

    @property
    def result(self) -> Tapped:
        """The network that is evaluated and exported: the average where there is one."""
        return self.average.student if self.average else self.student

    def save(self, directory: Path, *, step: int, digest: str) -> Path:
        """Writes the checkpoint of `step` finished steps; `digest` names the spec and inputs it belongs to."""
        path = directory / FILE
        partial = path.with_suffix(".partial")
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({"format": _FORMAT, "digest": digest, "step": step, **parts, "random": random_state()}, partial)
        partial.replace(path)
        return path

    def load(self, path: Path, *, digest: str) -> int:
        """Puts everything back and returns the number of finished steps.

        Raises:
            CheckpointCorrupt: unreadable, or of another run.
        """
        saved = _read(path)
        if saved.get("format") != _FORMAT or saved.get("digest") != digest:
            raise CheckpointCorrupt("The checkpoint belongs to another run.")
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        restore_random(saved["random"])
        return int(saved["step"])

    def _parts(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in ("student", "objective", "optimizer", "scaler", "progress")}
        return {**parts, "average": self.average} if self.average else parts


def _read(path: Path) -> dict[str, Any]:
    try:
        _check_sums(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        raise CheckpointCorrupt(f"The checkpoint cannot be read: {error}") from error
    if not isinstance(saved, dict):
        raise CheckpointCorrupt("The checkpoint holds no state.")
    return saved


def _check_sums(path: Path) -> None:
    """Compares the checksums that torch writes and never reads: a flipped bit would train on."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} is damaged")
