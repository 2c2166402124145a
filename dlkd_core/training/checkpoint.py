"""Checkpoints, which hold everything that the next training step depends on.

A checkpoint is a single file that is renamed into place once it is written.
"""

import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from dlkd_core.errors import CheckpointCorrupt
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.losses import Objective
from dlkd_core.models import FeatureExtractor
from dlkd_core.training.ema import ModelEMA
from dlkd_core.training.precision import FLOAT32
from dlkd_core.training.step_snapshot import get_rng_state, set_rng_state

_FORMAT = "dlkd-checkpoint-1"
# Fields of `TrainingProgress` that have another name in the checkpoint format.
_STORED_NAMES = {"last_evaluated_epoch": "judged", "micro_batches": "parts"}


@dataclass
class TrainingProgress:
    """Progress of a run. The loop updates it, and a resumed run continues from it."""

    steps: int = 0  # finished steps
    seconds: float = 0.0  # training time, including time before a resume
    best: float = float("-inf")  # best value of the stopping metric so far
    best_epoch: int = 0  # epoch of the best value
    last_evaluated_epoch: int = 0
    micro_batches: int = 0  # per batch, doubled when memory runs out; 0 if not set yet

    def state_dict(self) -> dict[str, Any]:
        return {_STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in asdict(self):
            setattr(self, name, state[_STORED_NAMES.get(name, name)])


@dataclass(frozen=True)
class TrainingState:
    """The mutable objects of a run, which a checkpoint saves."""

    student: FeatureExtractor
    objective: Objective
    optimizer: torch.optim.Optimizer
    ema: ModelEMA | None = None
    scaler: torch.amp.GradScaler = field(default_factory=FLOAT32.make_grad_scaler)
    progress: TrainingProgress = field(default_factory=TrainingProgress)

    @property
    def eval_student(self) -> FeatureExtractor:
        """The network to evaluate and export: the EMA of the student if there is one."""
        return self.ema.student if self.ema else self.student

    def save(self, directory: Path, *, step: int, digest: str) -> Path:
        """Save a checkpoint after `step` finished steps and return its path.

        Args:
            directory: Folder in which to save the checkpoint.
            step: Number of finished steps.
            digest: Digest of the spec and the inputs, which identifies the run.
        """
        path = directory / CHECKPOINT_FILE
        partial = path.with_suffix(".partial")
        components = {name: part.state_dict() for name, part in self._components().items()}
        header = {"format": _FORMAT, "digest": digest, "step": step}
        torch.save({**header, **components, "random": get_rng_state()}, partial)
        partial.replace(path)
        return path

    def load(self, path: Path, *, digest: str) -> int:
        """Restore the state from a checkpoint and return its number of finished steps.

        Raises:
            CheckpointCorrupt: The file is unreadable or belongs to another run.
        """
        saved = _load_file(path)
        if saved.get("format") != _FORMAT or saved.get("digest") != digest:
            raise CheckpointCorrupt("The checkpoint belongs to another run.")
        for name, component in self._components().items():
            component.load_state_dict(saved[name])
        set_rng_state(saved["random"])
        return int(saved["step"])

    def _components(self) -> dict[str, Any]:
        components = {
            name: getattr(self, name)
            for name in ("student", "objective", "optimizer", "scaler", "progress")
        }
        return {**components, "average": self.ema} if self.ema else components


def _load_file(path: Path) -> dict[str, Any]:
    try:
        _verify_checksums(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        raise CheckpointCorrupt(f"The checkpoint cannot be read: {error}") from error
    if not isinstance(saved, dict):
        raise CheckpointCorrupt("The checkpoint contains no training state.")
    return saved


def _verify_checksums(path: Path) -> None:
    # torch.save writes checksums, but torch.load does not check them.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} is damaged")
