"""Where training can go on from: everything that the next step depends on, in one file, renamed into place."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlkd_core.errors import CheckpointCorrupt
from dlkd_core.losses import Objective
from dlkd_core.models import Tapped

FILE = "checkpoint.pt"
_FORMAT = "dlkd-checkpoint-1"


@dataclass(frozen=True)
class State:
    """The live parts of a run that a checkpoint holds."""

    student: Tapped
    objective: Objective
    optimizer: torch.optim.Optimizer

    def save(self, directory: Path, *, step: int, digest: str) -> Path:
        """Writes the checkpoint of `step` finished steps; `digest` names the spec and inputs it belongs to."""
        path = directory / FILE
        partial = path.with_suffix(".partial")
        torch.save({"format": _FORMAT, "digest": digest, "step": step, **self._parts(), "random": _random()}, partial)
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
        self.student.load_state_dict(saved["student"])
        self.objective.load_state_dict(saved["objective"])
        self.optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"]["cpu"])
        if torch.cuda.is_available() and "cuda" in saved["random"]:
            torch.cuda.set_rng_state_all(saved["random"]["cuda"])
        return int(saved["step"])

    def _parts(self) -> dict[str, Any]:
        return {
            "student": self.student.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }


def _random() -> dict[str, Any]:
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


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
