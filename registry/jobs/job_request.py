"""The request for a job: a spec and an envelope with the options of the job itself."""

from datetime import UTC
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.base import FrozenModel
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
        description="Key-value pairs to find the job by. Keys must not contain a colon.",
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
        description="Jobs with a higher priority start first. Among equals, the oldest starts "
        "first.",
    ),
]
UtcDatetime = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
DeviceKind = Literal["auto", "cpu", "cuda"]


class Resources(FrozenModel):
    """Resources that a worker must provide for the job."""

    device: DeviceKind = Field(
        "auto",
        description="Device to run on. `auto` uses a GPU if the worker has one, and its CPU "
        "otherwise.",
    )
    gpus: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of GPUs of one machine, each of which runs a process of the job. "
        "Requires device `cuda`.",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of processes on one machine, each of which takes a slot of the "
        "worker. Requires device `cpu`.",
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Minimum memory in GiB: memory of the GPU if the job runs on one, otherwise "
        "main memory available to a trainer.",
    )

    @model_validator(mode="after")
    def _check_process_counts(self) -> Self:
        if self.gpus > 1 and self.device != "cuda":
            raise PydanticCustomError(
                "gpus_unused", "Several GPUs require device cuda.", {"pointer": "/gpus"}
            )
        if self.processes > 1 and self.device != "cpu":
            raise PydanticCustomError(
                "processes_unused",
                "Several processes require device cpu. To use several GPUs, set gpus instead.",
                {"pointer": "/processes"},
            )
        return self


class JobEnvelope(FrozenModel):
    """Options of a job that do not affect the model it makes."""

    labels: Labels = Field(default_factory=dict)
    notes: Notes = ""
    model_name: RegisteredName | None = Field(
        None,
        description="Name to register the model under, as its next version. Derived from the "
        "name of the job if unset.",
    )
    priority: Priority = 0
    deadline: UtcDatetime | None = Field(
        None,
        description="Time (RFC 3339) at which the job is stopped and expires if it has not "
        "finished.",
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="Seconds after its first start at which the job is stopped and expires, "
        "including pauses and retries. To end the training in time and keep the student, use "
        "training.max_seconds.",
    )
    resources: Resources = Resources()


class JobRequest(JobEnvelope, JobSpec):
    """A spec with its envelope: the body of POST /v1/jobs."""

    def dump_spec(self) -> dict[str, Any]:
        """Return the spec as JSON, without the envelope."""
        return self.model_dump(mode="json", include=set(JobSpec.model_fields))

    def memory_bytes(self) -> int | None:
        memory_gb = self.resources.memory_gb
        return None if memory_gb is None else int(memory_gb * GIBIBYTE)
