"""What the service answers: the wire formats. Fields are added over time, never taken away."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, from_json

from dlkd_core.frozen import Frozen
from dlkd_core.spec import ArchitectureName, Normalization
from registry.requests import LabelKey, LabelValue, Notes, Priority

Item = TypeVar("Item")
UploadState = Literal["validating", "ready", "invalid"]
JobState = Literal[
    "validating",
    "queued",
    "starting",
    "running",
    "exporting",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "cancelling",
    "pausing",
    "paused",
]


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True, protected_namespaces=())


class Page(Out, Generic[Item]):
    """Some of a list, newest first."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it as cursor to get the next page; null at the end")


class FailureOut(Out):
    """Why a job failed or an upload is unfit.

    Of a job or an attempt also: `class` (user, infrastructure or preemption: the last two are tried again), `retryable`; of a job
    the `attempt` and the last lines of its `log`.
    """

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="Stable: programs may compare it")
    message: str
    hint: str = Field("", description="What to do")


def _from_text(value: Any) -> Any:
    """The JSON in a form's text field."""
    try:
        return from_json(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError("json_invalid", "This is not JSON: {reason}", {"reason": str(error)}) from error


class TeacherForm(Frozen):
    """What a client may say about a checkpoint; what is left out is recognised."""

    name: str = Field("", max_length=200)
    architecture: ArchitectureName | None = None
    num_classes: int | None = Field(None, ge=1, le=1_000_000)
    normalization: Annotated[Normalization | None, BeforeValidator(_from_text)] = None


class DatasetForm(Frozen):
    """What a client may say about an archive."""

    name: str = Field("", max_length=200)


class UploadOut(Out):
    id: str
    name: str
    sha256: str = Field(description="Of the file as it came")
    size: int = Field(description="Bytes")
    status: UploadState
    error: FailureOut | None
    created_at: datetime


class TeacherOut(UploadOut):
    """An uploaded checkpoint."""

    format: Literal["torch", "safetensors", "onnx"]
    architecture: str | None = Field(description="As told, or as found by the check")
    options: dict[str, Any]
    num_classes: int | None = Field(description="0: the checkpoint has no classifier, and its features teach")
    parameters: int | None
    normalization: dict[str, Any] | None


class ImageOut(Out):
    channels: int
    height: int
    width: int


class SamplesOut(Out):
    """Rows of tiles, one row for a class."""

    columns: int
    width: int = Field(description="Of a tile, in pixels")
    height: int
    classes: list[int | None] = Field(description="Index of each row's class; null where the images have no label")


class DatasetOut(UploadOut):
    """An uploaded set of images."""

    classes: list[str] | None = Field(description="In the order of their indices; empty where no image has a label")
    splits: dict[str, int] | None = Field(description="Images of train and val")
    class_counts: dict[str, list[int]] | None = Field(
        description="Images of each class, for train and val, in the order of the classes; zeros where a split has no labels"
    )
    samples: SamplesOut | None = Field(description="What is where on the picture at /samples")
    image: ImageOut | None
    notices: list[str] | None


class ProgressOut(Out):
    """How far a job is."""

    phase: str | None
    epoch: int | None
    epochs: int | None
    step: int | None
    steps: int | None
    fraction: float = Field(description="Of the whole, in [0, 1]")
    eta_seconds: float | None
    images_per_second: float | None = Field(description="Training images, since this attempt began to train")


class AttemptOut(Out):
    """One execution of a job by one worker."""

    number: int
    worker_id: str
    status: str
    error: FailureOut | None
    log_tail: list[str] | None
    resumed_step: int | None = Field(description="Of the checkpoint that it began from")
    saved_step: int | None = Field(description="Of its own last checkpoint")
    started_at: datetime
    finished_at: datetime | None


class AttemptList(Out):
    items: list[AttemptOut]


class ResourcesOut(Out):
    """What a worker must have for the job."""

    device: str
    gpus: int
    processes: int
    memory_gb: float | None


class JobOut(Out):
    """A spec that was submitted, and what became of it."""

    id: str
    name: str
    status: JobState
    progress: ProgressOut
    error: FailureOut | None
    model_id: str | None
    attempts: list[AttemptOut]
    spec: dict[str, Any]
    owner: str = Field(description="Whose it is: the owner of the key that submitted it")
    labels: dict[str, str]
    notes: str
    priority: int
    queue: str
    resources: ResourcesOut
    waiting_for: str | None = Field(description="Of one that waits: for what beside its turn; null: nothing is missing")
    checkpoint_step: int | None = Field(description="Where a resume or a retry would go on")
    cloned_from: str | None
    deadline: datetime | None
    max_seconds: float | None
    expires_at: datetime | None = Field(description="By deadline and max_seconds, as far as is known")
    teacher_id: str | None
    dataset_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPatch(Frozen):
    """What may be changed about a job; what is left out stays."""

    name: str | None = Field(None, max_length=200)
    notes: Notes | None = None
    labels: dict[LabelKey, LabelValue | None] | None = Field(None, description="Merged into those that there are; null removes")
    priority: Priority | None = None


class PlanProblem(Out):
    """Why a request would be refused."""

    pointer: str | None
    code: str
    message: str
    hint: str


class EstimateOut(Out):
    """What the student will measure; its files also hold names and, as ONNX, the graph."""

    parameters: int
    weight_bytes: int = Field(description="Of the weights as float32")
    exact: bool = Field(description="False: the classifier is not counted in")
    teacher_parameters: int | None
    compression: float | None = Field(description="The teacher's parameters divided by the student's")


class JobPlan(Out):
    """What would become of a request."""

    valid: bool
    status: JobState | None = Field(description="In which state the job would begin; null: it would be refused")
    queue: str
    spec: dict[str, Any] = Field(description="With all defaults")
    problems: list[PlanProblem]
    waiting_for: str | None
    estimate: EstimateOut | None = Field(description="Null: the classes are unknown yet, or the student's options lead elsewhere")


class LogLineOut(Out):
    """A line that a trainer wrote."""

    id: int = Field(description="Numbered from 1 over all attempts")
    attempt: int
    at: datetime
    line: str


class LogPage(Out):
    items: list[LogLineOut]
    cursor: str = Field(description="Give it as after to get what was written next")


class EventOut(Out):
    """Something that happened to a job."""

    id: int = Field(description="Numbered from 1; also the id of server-sent events")
    type: str
    at: datetime
    attempt: int
    data: dict[str, Any]


class EventPage(Out):
    items: list[EventOut]
    cursor: str = Field(description="Give it as after to get what happens next")


class PointOut(Out):
    """A value at a step."""

    step: int
    epoch: int
    attempt: int
    value: float | None = Field(description="Null: it was not a finite number")


class MetricsOut(Out):
    """The metric series of a job by name."""

    series: dict[str, list[PointOut]]


class ReadyOut(Out):
    """Whether the service can do its work."""

    status: Literal["ready", "degraded"]
    checks: dict[str, str] = Field(description="Part to `ok`, or what is wrong with it")
