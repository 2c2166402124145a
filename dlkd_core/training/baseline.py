"""The baseline of a run: the student trained on labels alone, to show what the teacher adds."""

from collections.abc import Generator
from dataclasses import replace

from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import Event, Notice, NoticeLevel, StepFinished
from dlkd_core.training.loop import TrainingRun, train

_DIVERGED_WARNING = (
    "The training of the baseline diverged, so the gain over labels alone is unknown."
)


def train_baseline(run: TrainingRun) -> Generator[Event, None, str | None]:
    """Train the baseline and yield its steps and notices.

    No checkpoints are saved, so that the checkpoint of the finished student is kept. A run that
    resumes from it trains the baseline again from the beginning. The metrics of the baseline's
    training are not recorded. It is evaluated during training only if `patience` needs it.

    Returns:
        A warning if the training diverged, which must not lose the finished student, or None.
    """
    run = replace(run, saves_checkpoints=False)
    if run.spec.patience is None:
        run = replace(run, evaluate=dict)
    try:
        for event in train(run):
            if isinstance(event, StepFinished):
                yield event
            elif isinstance(event, Notice):
                yield event.model_copy(update={"message": f"Baseline: {event.message}"})
    except TrainingDiverged as error:
        yield Notice(message=f"Baseline: {error.message}")
        yield Notice(message=_DIVERGED_WARNING, level=NoticeLevel.WARNING)
        return _DIVERGED_WARNING
    return None
