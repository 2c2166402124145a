"""What a client submits: a spec, and the envelope around it, which says how the job is to be treated."""

from datetime import UTC
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.frozen import Frozen
from dlkd_core.spec import JobSpec
from registry.labels import MOST
from registry.names import RegisteredName

GIBIBYTE = 2**30
NOTES_LENGTH = 4000
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=MOST,
        description="For finding it again; no colon in a key",
        examples=[{"team": "vision"}],
    ),
]
Notes = Annotated[str, Field(max_length=NOTES_LENGTH, description="For people")]
Priority = Annotated[int, Field(ge=-100, le=100, description="The highest begins first, the oldest among equals")]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
DeviceKind = Literal["auto", "cpu", "cuda"]


class Resources(Frozen):
    """What a worker must have for the job."""

    device: DeviceKind = Field("auto", description="auto: the GPU of a worker that has one, else its CPU")
    gpus: int = Field(1, ge=1, le=64, description="Of device cuda, all of one machine; each runs a process of the job")
    processes: int = Field(
        1, ge=1, le=64, description="Of device cpu: so many processes of one machine run the job, each in a slot of its worker"
    )
    memory_gb: float | None = Field(
        None, gt=0, le=1_000_000, description="GiB at least: of the GPU where it runs on one, else what a trainer may take"
    )

    @model_validator(mode="after")
    def _several_gpus_are_cuda(self) -> Self:
        if self.gpus > 1 and self.device != "cuda":
            raise PydanticCustomError("gpus_unused", "Several GPUs need device cuda.", {"pointer": "/gpus"})
        if self.processes > 1 and self.device != "cpu":
            raise PydanticCustomError(
                "processes_unused", "Several processes need device cpu; of GPUs gpus says how many.", {"pointer": "/processes"}
            )
        return self


class Envelope(Frozen):
    """What concerns the job and not what it makes."""

    labels: Labels = Field(default_factory=dict)
    notes: Notes = ""
    model_name: RegisteredName | None = Field(
        None, description="Under which the model is registered, as its next version; left out: from the name of the job"
    )
    priority: Priority = 0
    deadline: Moment | None = Field(None, description="RFC 3339; not finished by then, the job is stopped and expired")
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="The job is stopped and expired so long after it first started, pauses and retries counted in. To end the"
        " training in time and keep the student use training.max_seconds",
    )
    resources: Resources = Resources()


class JobRequest(Envelope, JobSpec):
    """A spec in its envelope: the body of POST /v1/jobs."""

    def spec(self) -> dict[str, Any]:
        """The spec alone, as JSON."""
        return self.model_dump(mode="json", include=set(JobSpec.model_fields))

    def memory_bytes(self) -> int | None:
        """What must be there, in bytes."""
        return None if self.resources.memory_gb is None else int(self.resources.memory_gb * GIBIBYTE)
