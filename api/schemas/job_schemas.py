"""Wire formats of jobs and of their attempts, logs, events and metrics.

Fields may be added, but never removed.
"""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import ErrorOut, ResponseModel
from dlkd_core.common import FrozenModel
from registry.jobs.job_request import LabelKey, LabelValue, Notes, Priority
from registry.jobs.lifecycle import JobStatus


class ProgressOut(ResponseModel):
    """A job's progress."""

    phase: str | None
    epoch: int | None
    epochs: int | None
    step: int | None
    steps: int | None
    fraction: float = Field(description="Completed fraction of the whole job, from 0 to 1.")
    eta_seconds: float | None = Field(description="Estimated remaining training time in seconds.")
    images_per_second: float | None = Field(
        description="Training throughput, measured since the current attempt began to train."
    )


class AttemptOut(ResponseModel):
    """One execution of a job by one worker."""

    number: int
    worker_id: str
    status: str
    error: ErrorOut | None
    log_tail: list[str] | None
    resumed_step: int | None = Field(
        description="Step of the checkpoint that the attempt resumed from."
    )
    saved_step: int | None = Field(description="Step of the attempt's last checkpoint.")
    started_at: datetime
    finished_at: datetime | None


class AttemptList(ResponseModel):
    items: list[AttemptOut]


class ResourcesOut(ResponseModel):
    """Resources that a worker must provide for the job."""

    device: str
    gpus: int
    processes: int
    memory_gb: float | None = Field(
        description="Minimum memory in GiB: GPU memory if the job runs on a GPU, and otherwise "
        "the main memory available to a trainer."
    )


class JobOut(ResponseModel):
    """A job with its spec, status, progress and result."""

    id: str
    name: str
    status: JobStatus
    progress: ProgressOut
    error: ErrorOut | None
    model_id: str | None
    attempts: list[AttemptOut]
    spec: dict[str, Any]
    owner: str = Field(description="Owner of the key that submitted the job.")
    labels: dict[str, str]
    notes: str
    priority: int
    queue: str
    resources: ResourcesOut
    waiting_for: str | None = Field(
        description="What a queued job is waiting for. Null if it is only waiting for its turn."
    )
    checkpoint_step: int | None = Field(
        description="Step from which the job would continue when resumed or retried."
    )
    cloned_from: str | None = Field(description="Id of the job from which this job was cloned.")
    deadline: datetime | None
    max_seconds: float | None
    expires_at: datetime | None = Field(
        description="Time when the job expires: `deadline` or the end of `max_seconds` (counted "
        "from `started_at`), whichever comes first."
    )
    teacher_id: str | None
    dataset_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPatch(FrozenModel):
    """Changes to a job. Omitted fields stay unchanged."""

    name: str | None = Field(None, max_length=200)
    notes: Notes | None = None
    labels: dict[LabelKey, LabelValue | None] | None = Field(
        None, description="Labels to merge into the existing ones. A null value removes a label."
    )
    priority: Priority | None = None


class JobPlanProblem(ResponseModel):
    """A reason why the request would be rejected."""

    pointer: str | None = Field(description="JSON pointer into the request.")
    code: str
    message: str
    hint: str


class ModelEstimateOut(ResponseModel):
    """Expected size of the student.

    Exported files are slightly larger, because they also contain the parameters' names and, for
    ONNX, the graph.
    """

    parameters: int
    weight_bytes: int = Field(description="Size of the float32 weights in bytes.")
    exact: bool = Field(description="Whether the estimate includes the classifier's parameters.")
    teacher_parameters: int | None
    compression: float | None = Field(
        description="Parameter count of the teacher divided by that of the student."
    )


class JobPlan(ResponseModel):
    """Result of validating a request without submitting it."""

    valid: bool
    status: JobStatus | None = Field(
        description="Initial status of the job. Null if the request would be rejected."
    )
    queue: str
    spec: dict[str, Any] = Field(description="The spec with all defaults filled in.")
    problems: list[JobPlanProblem]
    waiting_for: str | None = Field(
        description="What the job would wait for. Null if it would only wait for its turn."
    )
    estimate: ModelEstimateOut | None = Field(
        description="Expected size of the student. Null if the number of classes is not known yet "
        "or the size cannot be computed from the student's options."
    )


class LogLineOut(ResponseModel):
    """A line of a job's log."""

    id: int = Field(
        validation_alias="seq",
        description="Line number. Lines are numbered from 1 across all attempts of the job.",
    )
    attempt: int = Field(description="Number of the attempt that logged the line.")
    at: datetime
    line: str


class LogPage(ResponseModel):
    items: list[LogLineOut]
    cursor: str = Field(description="Value of the `after` parameter that returns the next lines.")


class EventOut(ResponseModel):
    """An event of a job."""

    id: int = Field(
        validation_alias="seq",
        description="Event number, counted from 1. It is also the id of the server-sent event.",
    )
    type: str
    at: datetime
    attempt: int = Field(
        description="Number of the latest attempt at the time of the event. 0 before the first."
    )
    data: dict[str, Any]


class EventPage(ResponseModel):
    items: list[EventOut]
    cursor: str = Field(description="Value of the `after` parameter that returns the next events.")


class MetricPointOut(ResponseModel):
    """The value of a metric at one step."""

    step: int
    epoch: int
    attempt: int
    value: float | None = Field(description="Value of the metric. Null if it is not finite.")


class JobMetricsOut(ResponseModel):
    """A job's metrics."""

    series: dict[str, list[MetricPointOut]] = Field(
        description="Points of each metric, keyed by the metric's name."
    )
