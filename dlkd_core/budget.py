"""When a run ends before its last step: its time is used up, or nothing gets better any more."""

from collections.abc import Callable, Mapping

from dlkd_core.progress import Progress
from dlkd_core.training_spec import TrainingSpec

Clock = Callable[[], float]


class Budget:
    """Counts on in `progress`, which a checkpoint holds, so that a resumed run has no more time or patience than a whole one."""

    def __init__(self, spec: TrainingSpec, progress: Progress, clock: Clock) -> None:
        self.spec, self.progress, self.clock = spec, progress, clock
        self.began = clock() - progress.seconds
        self.judged_by = "val top-1"

    def tick(self, step: int) -> None:
        """Notes the finished steps and the time."""
        self.progress.steps, self.progress.seconds = step, self.clock() - self.began

    def judge(self, epoch: int, values: Mapping[str, float]) -> None:
        """Notes an evaluation after `epoch` finished epochs."""
        held, best = self.progress, values.get(self._measure(values), float("-inf"))
        if best > held.best:
            held.best, held.best_epoch = best, epoch
        held.judged = epoch

    def _measure(self, values: Mapping[str, float]) -> str:
        """Without a trained classifier features are judged; without labels what rises is the agreement with the teacher."""
        if "top1" in values:
            return "top1"
        if "knn_top1" in values:
            self.judged_by = "val top-1 by nearest neighbours"
            return "knn_top1"
        self.judged_by = "the agreement with the teacher"
        return "agreement"

    def owes(self, epoch: int) -> bool:
        """Whether a run that was closed just before an evaluation that patience counts on has to make up for it."""
        due = epoch > 0 and epoch % self.spec.evaluate_every == 0
        return self.spec.patience is not None and due and self.progress.judged < epoch

    @property
    def spent(self) -> bool:
        """Whether the time is used up."""
        return self.spec.max_seconds is not None and self.progress.seconds >= self.spec.max_seconds

    def verdict(self) -> str | None:
        """Why the run ends here; None where it goes on."""
        if self.spent:
            return f"max_seconds ({self.spec.max_seconds:g}) are used up"
        held = self.progress
        waited = held.judged - held.best_epoch
        if self.spec.patience is not None and held.best_epoch and waited >= self.spec.patience:
            return f"{self.judged_by} has not risen in {waited} epochs (best: {held.best:.4f} after epoch {held.best_epoch})"
        return None
