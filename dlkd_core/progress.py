"""What a run has been through, beside its weights: plain numbers that a checkpoint holds."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Progress:
    """The loop writes it; a resumed run goes on from it."""

    steps: int = 0  # finished
    seconds: float = 0.0  # of training, over all resumes
    best: float = float("-inf")  # the best val top-1 so far
    best_epoch: int = 0  # after which it was seen
    judged: int = 0  # the epoch of the last evaluation
    parts: int = 0  # into which a batch is split since memory ran out; 0: as the spec says

    def state_dict(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts them back."""
        for name in asdict(self):
            setattr(self, name, state[name])
