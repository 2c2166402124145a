"""Protocol between supervisor and trainer: a request as one line of JSON, answered by events."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dlkd_core.base import FrozenModel
from dlkd_core.reporting.import_report import ReportedFile, ReportedModel
from dlkd_core.spec import DistillationSpec

KEEP_ALIVE = b"{}\n"
STOP = b'{"stop": true}\n'


class TeacherCacheSpec(FrozenModel):
    """The file that caches a teacher's outputs, and its maximum size."""

    file: Path
    max_bytes: int


class BaseRequest(FrozenModel):
    """The working directory and limits of a trainer.

    The request is the first line on the trainer's standard input. Keep-alives and perhaps a stop
    follow.

    Attributes:
        silence_seconds: Time without a line after which the trainer kills itself, because its
            supervisor is gone and another worker will claim the job.
        gpu: Comma-separated indices of the GPUs to use, one for each process. Empty for the CPU.
    """

    directory: Path
    silence_seconds: float
    memory_bytes: int | None = None
    gpu: str = ""


class DistillRequest(BaseRequest):
    """A training job."""

    kind: Literal["distill"] = "distill"
    spec: DistillationSpec
    resume_from: Path | None = None
    teacher_cache: TeacherCacheSpec | None = None


class UploadCheckRequest(BaseRequest):
    """The check of an upload, with the architecture and class count that the uploader stated."""

    kind: Literal["check_teacher", "check_dataset"]
    path: Path
    architecture: str | None = None
    num_classes: int | None = None


class ImportCheckRequest(BaseRequest):
    """The check of an imported model, which another service made."""

    kind: Literal["check_model"] = "check_model"
    import_report: ReportedModel
    files: list[ReportedFile]


TrainerRequest = DistillRequest | UploadCheckRequest | ImportCheckRequest
request_adapter: TypeAdapter[TrainerRequest] = TypeAdapter(
    Annotated[TrainerRequest, Field(discriminator="kind")]
)
