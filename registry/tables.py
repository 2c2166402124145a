"""The tables. A job is its row; everything else hangs on it by id."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.access_tables import ApiKey as ApiKey  # noqa: PLC0414 - handed on
from registry.access_tables import AuditEvent as AuditEvent  # noqa: PLC0414 - as above
from registry.base import Base
from registry.db import PlainText
from registry.model_tables import Model as Model  # noqa: PLC0414 - handed on
from registry.model_tables import ModelFile as ModelFile  # noqa: PLC0414 - as above
from registry.upload_tables import Upload as Upload  # noqa: PLC0414 - as above


class Artifact(Base):
    """A stored file, named by its sha256. Its row is the lock between storing and forgetting the same bytes."""

    __tablename__ = "artifacts"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime]


class Teacher(Base):
    """An uploaded checkpoint. `options`, `normalization` and the like are first as told, then as found by the check."""

    __tablename__ = "teachers"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    format: Mapped[str] = mapped_column(String(16))
    architecture: Mapped[str | None]
    options: Mapped[dict[str, Any]]
    num_classes: Mapped[int | None]
    normalization: Mapped[dict[str, Any] | None]
    parameters: Mapped[int | None]
    error: Mapped[dict[str, Any] | None]
    check_job_id: Mapped[str]
    created_at: Mapped[datetime]


class Dataset(Base):
    """An uploaded set of images and, once checked, its packed form."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    packed_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    status: Mapped[str] = mapped_column(String(16))
    classes: Mapped[list[Any] | None]
    splits: Mapped[dict[str, Any] | None]
    class_counts: Mapped[dict[str, Any] | None]
    samples: Mapped[dict[str, Any] | None]
    samples_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    image: Mapped[dict[str, Any] | None]
    notices: Mapped[list[Any] | None]
    error: Mapped[dict[str, Any] | None]
    check_job_id: Mapped[str]
    created_at: Mapped[datetime]


class Job(Base):
    """A spec that was submitted (kind ``distill``), or the check of what came from outside (``check_teacher`` and so on).

    `attempt` is the fencing token: it grows at each claim. `spent` counts the attempts that failed or fell silent.
    `stalled` counts those of them in a row that left no newer checkpoint. `inputs` is what the worker fetches and what the
    checks found out about it, fixed when the job is queued. `expires_at` follows from the deadline and, once it has started,
    from `max_seconds`. What has a server's default came after the first jobs did.
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
    subject_id: Mapped[str | None] = mapped_column(index=True)
    teacher_id: Mapped[str | None] = mapped_column(index=True)  # no key, as of the data set: that one may be deleted
    teacher_model_id: Mapped[str | None] = mapped_column(index=True)  # no key: models and jobs would name each other
    dataset_id: Mapped[str | None] = mapped_column(index=True)
    cloned_from: Mapped[str | None]  # no key: that one may be deleted
    method: Mapped[str | None] = mapped_column(String(64))
    student: Mapped[str | None]
    notes: Mapped[str] = mapped_column(PlainText(4000), default="", server_default="")
    model_name: Mapped[str | None]  # under which the model is registered; null: the job's own

    device: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    gpus: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))
    processes: Mapped[int] = mapped_column(Integer, default=1, server_default=text("1"))  # on the CPU; one of the two is 1
    memory_bytes: Mapped[int | None]
    deadline: Mapped[datetime | None]
    max_seconds: Mapped[float | None]
    expires_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    spent: Mapped[int] = mapped_column(Integer, default=0)
    stalled: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(Integer)
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())  # a cancel that waits for no checkpoint
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
        """How many slots of one worker it takes."""
        return (self.gpus or 1) * (self.processes or 1)


class JobLabel(Base):
    """A label of a job, found by its key and value."""

    __tablename__ = "job_labels"
    __table_args__ = (Index("ix_job_labels_found", "key", "value", "job_id"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str]


class Attempt(Base):
    """One execution of a job by one worker: running, succeeded, failed, lost, cancelled, paused, expired or returned.

    `resumed_step` is the step of the checkpoint that it began from, `saved_step` that of its own last one.
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
    """What happened to a job, numbered from 1 without gaps."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]


class LogLine(Base):
    """A line that a trainer wrote, numbered from 1 over all attempts of the job; the oldest of very many are let go."""

    __tablename__ = "job_logs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    line: Mapped[str] = mapped_column(PlainText)


class Metric(Base):
    """One value at one step; an attempt that repeats a step overwrites it. Null: it was not a finite number."""

    __tablename__ = "metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None]


class WorkerRow(Base):
    """A worker process: where it runs, what it can do, and when it was last heard of."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(default="", server_default="")
    slots: Mapped[dict[str, Any]]
    queues: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))  # those it serves; empty: all
    devices: Mapped[list[Any]]
    draining: Mapped[str | None] = mapped_column(String(16))  # finish or now
    started_at: Mapped[datetime]
    last_seen: Mapped[datetime] = mapped_column(index=True)


class Leader(Base):
    """Who does what only one may do, until when."""

    __tablename__ = "leaders"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The answer to a request that may be sent twice."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    response: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
