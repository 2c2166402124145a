"""What the service answers, typed. Fields that a later version adds are kept and harm nothing."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_ENDED = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Answer(BaseModel):
    """The base: immutable, and tolerant of what it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Failure(Answer):
    """Why a job failed or an upload was found unfit."""

    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Progress(Answer):
    """How far a job is; `fraction` is of the whole run, in [0, 1]."""

    phase: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    fraction: float | None = None
    eta_seconds: float | None = None
    images_per_second: float | None = None


class Upload(Answer):
    """What teachers and data sets have in common."""

    id: str
    name: str = ""
    status: str
    sha256: str | None = None
    size: int | None = None
    error: Failure | None = None

    @property
    def checked(self) -> bool:
        """Whether the service has looked into the file."""
        return self.status != "validating"


class Teacher(Upload):
    format: str | None = None
    architecture: str | None = None
    num_classes: int | None = None
    parameters: int | None = None


class Dataset(Upload):
    classes: list[str] | None = None
    splits: dict[str, int] | None = None
    image: dict[str, int] | None = None


class Job(Answer):
    id: str
    name: str = ""
    status: str
    progress: Progress = Progress()
    error: Failure | None = None
    model_id: str | None = None
    attempts: list[dict[str, Any]] = Field(default_factory=list)
    spec: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    priority: int = 0
    waiting_for: str | None = None
    cloned_from: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in _ENDED


class Event(Answer):
    id: int
    type: str
    at: datetime | None = None
    attempt: int | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class ModelFile(Answer):
    name: str
    format: str
    size: int
    sha256: str
    top1: float | None = None
    latency_ms: float | None = None


class Model(Answer):
    id: str
    job_id: str | None = None
    name: str = ""
    version: int = 1
    aliases: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    notes: str = ""
    architecture: str
    parameters: int
    classes: list[str] = Field(default_factory=list)
    metrics: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    files: list[ModelFile] = Field(default_factory=list)

    def file(self, name: str) -> ModelFile:
        """The file of that name; `KeyError` with the names that there are otherwise."""
        for file in self.files:
            if file.name == name:
                return file
        raise KeyError(f"model {self.id} has no file {name!r}, but {', '.join(file.name for file in self.files)}")

    def of_format(self, kind: str) -> ModelFile:
        """The file of that format; `KeyError` with the formats that there are otherwise."""
        for file in self.files:
            if file.format == kind:
                return file
        raise KeyError(f"model {self.id} was not exported as {kind!r}, but as {', '.join(file.format for file in self.files)}")
