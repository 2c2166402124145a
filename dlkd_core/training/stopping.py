"""Criteria for stopping a run early: time limit and patience."""

from collections.abc import Mapping

from dlkd_core.distributed.process_group import Clock
from dlkd_core.events import Metric
from dlkd_core.training.checkpoint import TrainingProgress
from dlkd_core.training_spec import TrainingSpec


class StoppingCriteria:
    """Time limit and patience of a run.

    The elapsed time and the best evaluation are kept in `progress`, which is part of checkpoints,
    so a resumed run has no more time or patience than an uninterrupted one.
    """

    def __init__(self, spec: TrainingSpec, progress: TrainingProgress, clock: Clock) -> None:
        self.spec, self.progress, self.clock = spec, progress, clock
        self.start_time = clock() - progress.seconds
        self.metric_description = "val top-1"

    def record_step(self, step: int) -> None:
        """Record the number of finished steps and the training time."""
        self.progress.steps, self.progress.seconds = step, self.clock() - self.start_time

    def record_evaluation(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record the metrics of an evaluation after `epoch` finished epochs."""
        value = values.get(self._select_metric(values), float("-inf"))
        if value > self.progress.best:
            self.progress.best, self.progress.best_epoch = value, epoch
        self.progress.last_evaluated_epoch = epoch

    def _select_metric(self, values: Mapping[str, float]) -> Metric:
        if Metric.TOP1 in values:
            return Metric.TOP1
        if Metric.KNN_TOP1 in values:  # the student's classifier is not trained
            self.metric_description = "val k-NN top-1"
            return Metric.KNN_TOP1
        self.metric_description = "the agreement with the teacher"  # there are no labels
        return Metric.AGREEMENT

    def needs_evaluation(self, epoch: int) -> bool:
        """Return whether the evaluation after `epoch` epochs is missing but needed for `patience`.

        It is missing if the run was closed just before the evaluation.
        """
        is_due = epoch > 0 and epoch % self.spec.evaluate_every == 0
        is_missing = self.progress.last_evaluated_epoch < epoch
        return self.spec.patience is not None and is_due and is_missing

    @property
    def is_out_of_time(self) -> bool:
        """Whether the time limit is reached."""
        return self.spec.max_seconds is not None and self.progress.seconds >= self.spec.max_seconds

    def stop_reason(self) -> str | None:
        """Return why the run ends now, or None if it continues."""
        if self.is_out_of_time:
            return f"the limit of {self.spec.max_seconds:g} seconds (max_seconds) is reached"
        best, best_epoch = self.progress.best, self.progress.best_epoch
        epochs_since_best = self.progress.last_evaluated_epoch - best_epoch
        patience = self.spec.patience
        if patience is not None and best_epoch and epochs_since_best >= patience:
            return (
                f"{self.metric_description} has not improved for {epochs_since_best} epochs"
                f" (best: {best:.4f} after epoch {best_epoch})"
            )
        return None
