"""Typed responses from the service. Unknown fields, which a newer version may add, are kept."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_FINAL_STATUSES = frozenset({"succeeded", "failed", "cancelled", "expired"})


class ResponseModel(BaseModel):
    """Base class of responses: immutable and tolerant of unknown fields."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Failure(ResponseModel):
    """The reason why a job failed or an upload was rejected."""

    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Progress(ResponseModel):
    """The progress of a job. `fraction` is the completed share of the whole run, in [0, 1]."""

    phase: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    fraction: float | None = None
    eta_seconds: float | None = None
    images_per_second: float | None = None


class UploadedInput(ResponseModel):
    """Common fields of teachers and datasets."""

    id: str
    name: str = ""
    status: str
    sha256: str | None = None
    size: int | None = None
    error: Failure | None = None

    @property
    def is_checked(self) -> bool:
        """Whether the service has finished checking the file."""
        return self.status != "validating"


class Teacher(UploadedInput):
    format: str | None = None
    architecture: str | None = None
    num_classes: int | None = None
    parameters: int | None = None
    notices: list[str] | None = None
    alternatives: list[str] | None = None


class Dataset(UploadedInput):
    classes: list[str] | None = None
    splits: dict[str, int] | None = None
    image: dict[str, int] | None = None


class Finding(ResponseModel):
    """The images that one check found. `across_splits` is None except for duplicates."""

    kind: str
    train: int
    val: int
    across_splits: int | None = None
    label_conflicts: int | None = None
    examples: list[dict[str, Any]] = Field(default_factory=list)


class LabelErrors(ResponseModel):
    """Evaluation images that may be mislabeled, according to the teacher of a job."""

    model_id: str
    images: int
    count: int
    examples: list[dict[str, Any]] = Field(default_factory=list)


class DatasetReport(ResponseModel):
    """A report about the health of a dataset."""

    splits: dict[str, dict[str, Any]]
    test_duplicates: int | None = None
    majority_top1: float | None = None
    files: dict[str, Any]
    similar_classes: list[dict[str, Any]] = Field(default_factory=list)
    findings: list[Finding]
    label_errors: LabelErrors | None = None


class Job(ResponseModel):
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
    def is_finished(self) -> bool:
        """Whether the job has reached a final status."""
        return self.status in _FINAL_STATUSES


class Event(ResponseModel):
    id: int
    type: str
    at: datetime | None = None
    attempt: int | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class ModelFile(ResponseModel):
    name: str
    format: str
    size: int
    sha256: str
    top1: float | None = None
    latency_ms: float | None = None


class Model(ResponseModel):
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
    warnings: list[str] = Field(default_factory=list)
    files: list[ModelFile] = Field(default_factory=list)

    def file(self, name: str) -> ModelFile:
        """Return the file with the given name.

        Raises:
            KeyError: The model has no such file. The message lists its files.
        """
        for file in self.files:
            if file.name == name:
                return file
        names = ", ".join(file.name for file in self.files)
        raise KeyError(f"Model {self.id} has no file {name!r}. It has: {names}.")

    def file_by_format(self, file_format: str) -> ModelFile:
        """Return the file in the given format.

        Raises:
            KeyError: The model was not exported in that format. The message lists its formats.
        """
        for file in self.files:
            if file.format == file_format:
                return file
        formats = ", ".join(file.format for file in self.files)
        raise KeyError(f"Model {self.id} was not exported as {file_format!r}. It has: {formats}.")
