"""The job request: a spec, and job options such as priority that do not affect the model."""

from datetime import UTC
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.common import FrozenModel
from dlkd_core.spec import JobSpec
from registry.jobs.job_labels import MAX_LABELS
from registry.models.model_names import RegisteredName

GIBIBYTE = 2**30
MAX_NOTES_LENGTH = 4000
LabelKey = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=MAX_LABELS,
        description="Key-value pairs for filtering the job list. Keys must not contain a colon.",
        examples=[{"team": "vision"}],
    ),
]
Notes = Annotated[
    str, Field(max_length=MAX_NOTES_LENGTH, description="Free text, not used by the service.")
]
Priority = Annotated[
    int,
    Field(
        ge=-100,
        le=100,
        description="Jobs with a higher priority start first. Among jobs with the same "
        "priority, the oldest starts first.",
    ),
]
UtcDatetime = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
DeviceKind = Literal["auto", "cpu", "cuda"]


class Resources(FrozenModel):
    """Resources that a worker must provide for the job."""

    device: DeviceKind = Field(
        "auto",
        description="Device to run on. `auto` uses a GPU if the worker has one, and the CPU "
        "otherwise.",
    )
    gpus: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of GPUs, all on one machine. The job runs one process per GPU. "
        "Requires device `cuda`.",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of CPU processes, all on one machine. Each occupies one slot of the "
        "worker. Requires device `cpu`.",
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Minimum memory in GiB. If the job runs on a GPU, this is GPU memory. "
        "Otherwise it is the main memory available to a trainer.",
    )

    @model_validator(mode="after")
    def _check_process_counts(self) -> Self:
        if self.gpus > 1 and self.device != "cuda":
            raise PydanticCustomError(
                "gpus_unused",
                "Training on more than one GPU requires the device cuda.",
                {"pointer": "/gpus"},
            )
        if self.processes > 1 and self.device != "cpu":
            raise PydanticCustomError(
                "processes_unused",
                "Running more than one process requires the device cpu. To use several GPUs, set"
                " gpus instead.",
                {"pointer": "/processes"},
            )
        return self


class JobOptions(FrozenModel):
    """Options of a job that do not affect the model that it produces."""

    labels: Labels = Field(default_factory=dict)
    notes: Notes = ""
    model_name: RegisteredName | None = Field(
        None,
        description="Model name. The model is registered as the next version of this name. "
        "Derived from the job's name if unset.",
    )
    priority: Priority = 0
    deadline: UtcDatetime | None = Field(
        None,
        description="RFC 3339 timestamp. If the job has not finished by this time, it is "
        "stopped and expires.",
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="Time limit in seconds, counted from the job's first start and including "
        "pauses and retries. A job that reaches the limit is stopped and expires. To end the "
        "training early and keep the student, use training.max_seconds.",
    )
    resources: Resources = Resources()


class JobRequest(JobOptions, JobSpec):
    """The body of POST /v1/jobs: a spec, and job options such as priority, labels and deadline."""

    def dump_spec(self) -> dict[str, Any]:
        """Return the spec as JSON, without the job options."""
        return self.model_dump(mode="json", include=set(JobSpec.model_fields))

    def memory_bytes(self) -> int | None:
        memory_gb = self.resources.memory_gb
        return None if memory_gb is None else int(memory_gb * GIBIBYTE)
