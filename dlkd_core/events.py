"""What a run tells its caller, frozen. One JSON object a line between the trainer and its supervisor."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from dlkd_core.frozen import Frozen

Phase = Literal["reading", "proving", "training", "evaluating", "exporting"]


class PhaseStarted(Frozen):
    """A part of the run began."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Noticed(Frozen):
    """Something worth telling a person; never needed by a program."""

    type: Literal["notice"] = "notice"
    message: str


class TeacherProved(Frozen):
    """The teacher was run on the evaluation split before training. Accuracies in [0, 1], `top1` None without labels."""

    type: Literal["teacher"] = "teacher"
    architecture: str
    parameters: int
    top1: float | None
    knn_top1: float | None = Field(None, description="By nearest neighbours, of a teacher without a classifier")
    images: int
    normalization: dict[str, list[float]]
    tried: dict[str, float] = Field(
        default_factory=dict, description="Under each normalization that was tried: accuracy, or mean confidence without labels"
    )


class StepDone(Frozen):
    """Progress of the loop: `step` of `steps` over the whole run, `epoch` (from 1) of `epochs`."""

    type: Literal["step"] = "step"
    epoch: int
    epochs: int
    step: int
    steps: int


class Measured(Frozen):
    """One point of the metric series: name to value at a step (loss terms, learning rate, val/top1)."""

    type: Literal["metrics"] = "metrics"
    epoch: int
    step: int
    values: dict[str, float]


class CheckpointSaved(Frozen):
    """Training can go on from here; `path` is a whole file, renamed into place."""

    type: Literal["checkpoint"] = "checkpoint"
    path: str
    step: int


class FileExported(Frozen):
    """A file of the student, loaded back and measured on the evaluation split."""

    type: Literal["file"] = "file"
    name: str
    format: str
    path: str
    size: int
    sha256: str
    top1: float | None
    latency_ms: float


class Finished(Frozen):
    """The run's report: architecture, parameters, metrics of teacher and student, normalization, lineage."""

    type: Literal["finished"] = "finished"
    report: dict[str, Any]


class Failed(Frozen):
    """The run ended with an error (see `dlkd_core.errors`)."""

    type: Literal["failed"] = "failed"
    error: dict[str, Any]


Event = PhaseStarted | Noticed | TeacherProved | StepDone | Measured | CheckpointSaved | FileExported | Finished | Failed
event_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
