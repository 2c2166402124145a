"""Tables of jobs, and of their labels, attempts, events, logs and metrics."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.db.base import Base
from registry.db.column_types import PlainText


class Job(Base):
    """A training job (kind ``distill``) or the check of an upload (``check_teacher`` and so on).

    Columns with a server default were added after the first release.

    Attributes:
        inputs: Files that the worker fetches, and the facts that their checks determined. The
            column does not change once the job is queued.
        expires_at: The deadline. Once the job has started, this is the deadline or the start time
            plus `max_seconds`, whichever is earlier.
        attempt: Number of the latest attempt, or 0 before the first. It increases with each claim
            and serves as the fencing token.
        spent: Number of attempts that count toward `max_attempts`.
        stalled: Number of consecutive attempts that failed without saving a newer checkpoint.
        forced: Whether a cancellation takes effect without waiting for a checkpoint.
        hinted_at: Time of the last queue message for the job.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_claim", "queue", "status", "priority", "created_at"),
        Index("ix_jobs_lease", "status", "lease_until"),
        Index("ix_jobs_expiry", "status", "expires_at"),
        Index("ix_jobs_status_id", "status", "id"),  # pages are sorted by id
        Index("ix_jobs_method_id", "method", "id"),
        Index("ix_jobs_student_id", "student", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    status: Mapped[str] = mapped_column(String(16))
    queue: Mapped[str] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(Integer, default=0)
    spec: Mapped[dict[str, Any]]
    inputs: Mapped[dict[str, Any] | None]
    subject_id: Mapped[str | None] = mapped_column(index=True)  # the upload that a check job checks
    # These columns have no foreign keys. The teacher, the dataset and the original of a clone may
    # be deleted, and models already have a foreign key to jobs.
    teacher_id: Mapped[str | None] = mapped_column(index=True)
    teacher_model_id: Mapped[str | None] = mapped_column(index=True)
    dataset_id: Mapped[str | None] = mapped_column(index=True)
    cloned_from: Mapped[str | None]
    method: Mapped[str | None] = mapped_column(String(64))
    student: Mapped[str | None]
    notes: Mapped[str] = mapped_column(PlainText(4000), default="", server_default="")
    # Name to register the model under. If null, it is derived from the job's name.
    model_name: Mapped[str | None]

    device: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    # A job uses several GPUs or several CPU processes, but not both. At least one of the two
    # counts is always 1.
    gpus: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    processes: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    memory_bytes: Mapped[int | None]
    deadline: Mapped[datetime | None]
    max_seconds: Mapped[float | None]
    expires_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    spent: Mapped[int] = mapped_column(Integer, default=0)
    stalled: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(Integer)
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())
    worker_id: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    hinted_at: Mapped[datetime | None]

    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    checkpoint_key: Mapped[str | None] = mapped_column(Text)
    checkpoint_step: Mapped[int | None]
    last_event: Mapped[int] = mapped_column(default=0)
    last_log: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    error: Mapped[dict[str, Any] | None]
    model_id: Mapped[str | None]

    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def slots(self) -> int:
        """Number of slots that the job takes on one worker."""
        return (self.gpus or 1) * (self.processes or 1)


class JobLabel(Base):
    """A key-value label of a job, indexed for search."""

    __tablename__ = "job_labels"
    __table_args__ = (Index("ix_job_labels_found", "key", "value", "job_id"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str]


class Attempt(Base):
    """One execution of a job by one worker.

    Attributes:
        status: An `AttemptOutcome`.
        resumed_step: Step of the checkpoint from which the attempt resumed.
        saved_step: Step of the last checkpoint that the attempt saved.
    """

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker_id: Mapped[str]
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None]
    log_tail: Mapped[list[Any] | None]
    resumed_step: Mapped[int | None]
    saved_step: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class JobEvent(Base):
    """An event of a job, numbered from 1 without gaps."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]


class LogLine(Base):
    """A line of a trainer's output, numbered from 1 across all attempts of the job.

    Only the newest lines of a job are kept.
    """

    __tablename__ = "job_logs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    line: Mapped[str] = mapped_column(PlainText)


class Metric(Base):
    """The value of a metric at one training step.

    An attempt that repeats a step overwrites the value. Null means that the value was not finite.
    """

    __tablename__ = "metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None]
