"""Events that a run yields to its caller. They are immutable.

The trainer process writes them as JSON objects, one per line, and its supervisor reads them.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from dlkd_core.common import FrozenModel, LiteralEnum

CHECKPOINT_FILE = "checkpoint.pt"

# Prefixes of metric names, for training losses and for evaluations on the val split
TRAIN_PREFIX = "train/"
VAL_PREFIX = "val/"


class Phase(LiteralEnum):
    """The phases of a run, in the order in which they start."""

    READING = "reading"
    VERIFYING_TEACHER = "proving"
    TRAINING = "training"
    BASELINE = "baseline"  # only if the spec asks for a baseline
    EVALUATING = "evaluating"
    EXPORTING = "exporting"


class Metric(StrEnum):
    """Names of the metrics that training, stopping criteria and the terminal refer to."""

    TOP1 = "top1"
    TOP5 = "top5"
    NLL = "nll"
    KNN_TOP1 = "knn_top1"
    AGREEMENT = "agreement"


class PhaseStarted(FrozenModel):
    """A phase of the run started."""

    type: Literal["phase"] = "phase"
    phase: Phase


class NoticeLevel(LiteralEnum):
    """Importance of a notice."""

    INFO = "info"
    WARNING = "warning"


class Notice(FrozenModel):
    """A message for the user. Programs can ignore it.

    Warnings are also listed in the report.
    """

    type: Literal["notice"] = "notice"
    message: str
    level: NoticeLevel = NoticeLevel.INFO


class TeacherVerified(FrozenModel):
    """The teacher was evaluated on the evaluation split before training.

    Accuracies are in [0, 1]. If the images have no labels, `top1` is None.
    """

    type: Literal["teacher"] = "teacher"
    architecture: str
    parameters: int
    top1: float | None
    knn_top1: float | None = Field(
        None, description="k-NN accuracy of the teacher's features, if it has no classifier"
    )
    pixel_knn_top1: float | None = Field(
        None, description="k-NN accuracy of the raw pixels on the same images, for comparison"
    )
    images: int
    normalization: dict[str, list[float]]
    tried: dict[str, float] = Field(
        default_factory=dict,
        description="Score of each candidate normalization: accuracy, or mean confidence if the"
        " images have no labels",
    )
    networks: dict[str, float] = Field(
        default_factory=dict,
        description="Mean loss of each network on a sample of the evaluation images, if the"
        " teacher's weights fit several",
    )


class StepFinished(FrozenModel):
    """A training step finished.

    `step` and `epoch` count from 1. `steps` and `epochs` are the totals of the training of the
    student or, in the phase `baseline`, of the baseline.
    """

    type: Literal["step"] = "step"
    epoch: int
    epochs: int
    step: int
    steps: int
    batch_size: int | None = None


class MetricsRecorded(FrozenModel):
    """Metrics were recorded at a step.

    `values` maps names to values, such as loss terms, the learning rate and `val/top1`.
    """

    type: Literal["metrics"] = "metrics"
    epoch: int
    step: int
    values: dict[str, float]


class CheckpointSaved(FrozenModel):
    """A checkpoint was saved.

    The file at `path` is always complete, because it is renamed into place once it is written.
    """

    type: Literal["checkpoint"] = "checkpoint"
    path: str
    step: int


class FileExported(FrozenModel):
    """The student was exported to a file.

    The file was loaded again and measured on the evaluation split.
    """

    type: Literal["file"] = "file"
    name: str
    format: str
    path: str
    size: int
    sha256: str
    top1: float | None
    latency_ms: float


class RunFinished(FrozenModel):
    """The run finished.

    `report` contains the student's architecture, parameter count and normalization, the lineage of
    the run, the warnings, and the metrics of the teacher, the student and the baseline.
    """

    type: Literal["finished"] = "finished"
    report: dict[str, Any]


class RunFailed(FrozenModel):
    """The run ended with an error; see `dlkd_core.errors`."""

    type: Literal["failed"] = "failed"
    error: dict[str, Any]


Event = (
    PhaseStarted
    | Notice
    | TeacherVerified
    | StepFinished
    | MetricsRecorded
    | CheckpointSaved
    | FileExported
    | RunFinished
    | RunFailed
)
event_adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
