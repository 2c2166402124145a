"""The protocol between supervisor and trainer. The trainer answers a JSON request with events."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dlkd_core.common import FrozenModel
from dlkd_core.reporting.reported_model import ReportedFile, ReportedModel
from dlkd_core.spec import DistillationSpec

KEEP_ALIVE = b"{}\n"
STOP = b'{"stop": true}\n'


class TeacherCacheSpec(FrozenModel):
    """The file that caches a teacher's outputs, and its maximum size."""

    file: Path
    max_bytes: int


class BaseRequest(FrozenModel):
    """The working directory and limits of a trainer.

    The request is the first line on the trainer's standard input. The next lines are keep-alives,
    and possibly a stop request.

    Attributes:
        silence_seconds: If no line of input arrives for this many seconds, the trainer kills
            itself. Its supervisor is then assumed to be gone, and another worker will claim the
            job.
        gpu: Comma-separated indices of the GPUs to use, one for each process. Empty if the trainer
            uses the CPU.
    """

    directory: Path
    silence_seconds: float
    memory_bytes: int | None = None
    gpu: str = ""


class DistillRequest(BaseRequest):
    """The request to run a training job."""

    kind: Literal["distill"] = "distill"
    spec: DistillationSpec
    resume_from: Path | None = None
    teacher_cache: TeacherCacheSpec | None = None


class UploadCheckRequest(BaseRequest):
    """The request to check an upload, with what was declared for it."""

    kind: Literal["check_teacher", "check_dataset"]
    path: Path
    architecture: str | None = None
    num_classes: int | None = None
    output: str | None = None


class ImportCheckRequest(BaseRequest):
    """The request to check an imported model, which another service has trained."""

    kind: Literal["check_model"] = "check_model"
    import_report: ReportedModel
    files: list[ReportedFile]


TrainerRequest = DistillRequest | UploadCheckRequest | ImportCheckRequest
request_adapter: TypeAdapter[TrainerRequest] = TypeAdapter(
    Annotated[TrainerRequest, Field(discriminator="kind")]
)
