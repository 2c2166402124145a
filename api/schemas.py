"""What the service answers: the wire formats. Fields are added over time, never taken away."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, from_json

from dlkd_core.frozen import Frozen
from dlkd_core.spec import ArchitectureName, Normalization

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
    """Why a job failed or an upload is unfit."""

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
    num_classes: int | None
    parameters: int | None
    normalization: dict[str, Any] | None


class ImageOut(Out):
    channels: int
    height: int
    width: int


class DatasetOut(UploadOut):
    """An uploaded set of images."""

    classes: list[str] | None = Field(description="In the order of their indices")
    splits: dict[str, int] | None = Field(description="Images of train and val")
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


class AttemptOut(Out):
    """One execution of a job by one worker."""

    number: int
    worker_id: str
    status: str
    error: FailureOut | None
    log_tail: list[str] | None
    started_at: datetime
    finished_at: datetime | None


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
    teacher_id: str | None
    dataset_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


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


class FileOut(Out):
    """A file of a model, loaded back and measured."""

    name: str
    format: str
    size: int
    sha256: str
    top1: float | None = Field(description="On the val split, in [0, 1]")
    latency_ms: float | None = Field(description="Of one image")
    url: str


class ModelOut(Out):
    """A distilled student."""

    id: str
    job_id: str
    name: str
    architecture: str
    options: dict[str, Any]
    parameters: int
    classes: list[str]
    normalization: dict[str, Any] | None
    metrics: dict[str, Any]
    files: list[FileOut]
    created_at: datetime


class ReadyOut(Out):
    """Whether the service can do its work."""

    status: Literal["ready", "degraded"]
    checks: dict[str, str] = Field(description="Part to `ok`, or what is wrong with it")
