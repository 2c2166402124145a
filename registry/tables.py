"""The tables. A job is its row; everything else hangs on it by id."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, MetaData, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from registry.db import PlainText, UtcDateTime

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
AutoId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only INTEGER keys itself

_NAMES = {  # migrations can only change what has a name
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as declared
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[Any]: Json,
        str: PlainText(255),
        int: BigInteger(),
        float: Float(53),
    }


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
    image: Mapped[dict[str, Any] | None]
    notices: Mapped[list[Any] | None]
    error: Mapped[dict[str, Any] | None]
    check_job_id: Mapped[str]
    created_at: Mapped[datetime]


class Job(Base):
    """A spec that was submitted (kind ``distill``), or the check of an upload (``check_teacher``, ``check_dataset``).

    `attempt` is the fencing token: it grows at each claim. `spent` counts the attempts that failed or fell silent.
    `inputs` is what the worker fetches and what the checks found out about it, fixed when the job is queued.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_claim", "queue", "status", "priority", "created_at"),
        Index("ix_jobs_lease", "status", "lease_until"),
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
    teacher_id: Mapped[str | None] = mapped_column(ForeignKey("teachers.id"), index=True)
    teacher_model_id: Mapped[str | None] = mapped_column(index=True)  # no key: models and jobs would name each other
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    spent: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    worker_id: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    hinted_at: Mapped[datetime | None]

    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    checkpoint_key: Mapped[str | None] = mapped_column(Text)
    checkpoint_step: Mapped[int | None]
    last_event: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    model_id: Mapped[str | None]

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Attempt(Base):
    """One execution of a job by one worker: running, succeeded, failed, lost, cancelled or returned."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker_id: Mapped[str]
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None]
    log_tail: Mapped[list[Any] | None]
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


class Metric(Base):
    """One value at one step; an attempt that repeats a step overwrites it. Null: it was not a finite number."""

    __tablename__ = "metrics"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    value: Mapped[float | None]


class Model(Base):
    """A distilled student. One job makes at most one."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), unique=True)
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    architecture: Mapped[str]
    options: Mapped[dict[str, Any]]
    parameters: Mapped[int]
    classes: Mapped[list[Any]]
    normalization: Mapped[dict[str, Any] | None]
    metrics: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ModelFile(Base):
    """A file of a model, measured after it was loaded back."""

    __tablename__ = "model_files"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    format: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    size: Mapped[int]
    top1: Mapped[float | None]
    latency_ms: Mapped[float | None]


class ApiKey(Base):
    """A key's hash; the key itself is shown once and not kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class WorkerRow(Base):
    """A worker process: where it runs, what it can do, and when it was last heard of."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    slots: Mapped[dict[str, Any]]
    devices: Mapped[list[Any]]
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


class AuditEvent(Base):
    """Who did what to what."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(AutoId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(index=True)
    data: Mapped[dict[str, Any]]
