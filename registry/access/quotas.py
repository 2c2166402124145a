"""Quotas of owners.

Usage is counted while the owner's row is locked, so that concurrent requests and workers cannot
jointly exceed a limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from registry.db import pagination
from registry.db.access_tables import DeviceUsage, Quota
from registry.db.database import now, upsert
from registry.db.input_tables import Dataset, Teacher, Upload
from registry.db.job_tables import Attempt, Job
from registry.db.model_tables import Model, ModelFile
from registry.errors import QuotaExceeded
from registry.jobs import lifecycle
from registry.jobs.job_enums import AttemptOutcome, JobKind
from registry.jobs.lifecycle import JobStatus
from registry.settings import Settings

_UNITS = {
    "queued_jobs": "waiting jobs",
    "stored_bytes": "stored bytes",
    "device_seconds": "device seconds per month",
}


@dataclass(frozen=True)
class QuotaLimits:
    """Limits for one owner.

    A limit of None means unlimited. In limits that an admin set for one owner, None means
    that the service's default applies.
    """

    queued_jobs: int | None = None
    running_jobs: int | None = None
    stored_bytes: int | None = None
    device_seconds: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "QuotaLimits":
        """Return the service's default limits."""
        return cls(
            **{field.name: getattr(settings, f"quota_{field.name}") for field in fields(cls)}
        )


@dataclass(frozen=True)
class QuotaUse:
    """Current usage of one quota, and its limit. A limit of None means unlimited."""

    used: float
    limit: int | None


@dataclass(frozen=True)
class OwnerUsage:
    """An owner's usage of all quotas. `own` holds the limits set specifically for this owner."""

    owner: str
    queued_jobs: QuotaUse
    running_jobs: QuotaUse
    stored_bytes: QuotaUse
    device_seconds: QuotaUse
    own: QuotaLimits


def check_jobs(session: Session, owner: str, defaults: QuotaLimits) -> None:
    """Verify that the owner is within the limits for jobs and device time.

    Call this after adding a job.

    Raises:
        QuotaExceeded: The owner has too many waiting jobs, or has used up the device seconds for
            this month.
    """
    limits = _lock_limits(session, owner, defaults)
    if limits.queued_jobs is not None:
        used = _count_jobs(session, owner, lifecycle.WAITING)
        if used > limits.queued_jobs:
            raise _quota_error("queued_jobs", used - 1, limits.queued_jobs)
    if limits.device_seconds is not None:
        seconds = _count_device_seconds(session, owner)
        if seconds >= limits.device_seconds:
            raise _quota_error("device_seconds", round(seconds), limits.device_seconds)


def check_bytes(session: Session, owner: str, defaults: QuotaLimits) -> None:
    """Verify that the owner is within the limit for stored bytes.

    Call this after adding a file.

    Raises:
        QuotaExceeded: The total size of the owner's files exceeds the limit.
    """
    limits = _lock_limits(session, owner, defaults)
    if limits.stored_bytes is not None:
        used = _count_bytes(session, owner)
        if used > limits.stored_bytes:
            raise _quota_error("stored_bytes", used, limits.stored_bytes)


def can_start_job(session: Session, owner: str, default_running_limit: int | None) -> bool:
    """Return whether the owner may start another job. The answer stays valid until the commit."""
    defaults = QuotaLimits(running_jobs=default_running_limit)
    limit = _lock_limits(session, owner, defaults).running_jobs
    return limit is None or _count_jobs(session, owner, lifecycle.LEASED) < limit


def add_device_seconds(session: Session, job: Job, attempt: Attempt, at: datetime) -> None:
    """Add the device seconds of an attempt that ended at `at` to the owner's monthly usage.

    Upload checks are not counted.
    """
    if job.kind != JobKind.DISTILL:
        return
    key = {"owner": job.owner, "month": _format_month(at)}
    upsert(session, DeviceUsage, [{**key, "seconds": 0.0}], keys=["owner", "month"])
    session.execute(
        update(DeviceUsage)
        .where(DeviceUsage.owner == key["owner"], DeviceUsage.month == key["month"])
        .values(seconds=DeviceUsage.seconds + _slot_seconds(attempt.started_at, at, job.slots))
    )


def get_usage(session: Session, owner: str, defaults: QuotaLimits) -> OwnerUsage:
    """Return the owner's current usage and limits."""
    row = session.get(Quota, owner)
    limits = _merge_limits(row, defaults)
    return OwnerUsage(
        owner=owner,
        queued_jobs=QuotaUse(_count_jobs(session, owner, lifecycle.WAITING), limits.queued_jobs),
        running_jobs=QuotaUse(_count_jobs(session, owner, lifecycle.LEASED), limits.running_jobs),
        stored_bytes=QuotaUse(_count_bytes(session, owner), limits.stored_bytes),
        device_seconds=QuotaUse(_count_device_seconds(session, owner), limits.device_seconds),
        own=_own_limits(row),
    )


def list_page(
    session: Session, defaults: QuotaLimits, *, limit: int = 50, cursor: str | None = None
) -> pagination.Page[OwnerUsage]:
    """Return a page of the owners that have limits other than the defaults."""
    has_own_limits = or_(
        *(getattr(Quota, field.name).is_not(None) for field in fields(QuotaLimits))
    )
    page = pagination.paginate(
        session, select(Quota).where(has_own_limits), Quota.owner, limit=limit, cursor=cursor
    )
    usages = [get_usage(session, row.owner, defaults) for row in page.items]
    return pagination.Page(usages, page.next_cursor)


def set_limits(session: Session, owner: str, limits: dict[str, int | None]) -> None:
    """Set the limits for one owner. If a limit is None, the service's default applies."""
    upsert(session, Quota, [{"owner": owner, **limits}], keys=["owner"], update=list(limits))


def _lock_limits(session: Session, owner: str, defaults: QuotaLimits) -> QuotaLimits:
    """Return the limits that apply to the owner, and lock the owner's row until the commit.

    Nothing is locked if no limit applies.
    """
    session.flush()
    limits = _merge_limits(session.get(Quota, owner, populate_existing=True), defaults)
    if limits == QuotaLimits():
        return limits
    upsert(session, Quota, [{"owner": owner}], keys=["owner"])
    row = session.get_one(Quota, owner, with_for_update=True, populate_existing=True)
    return _merge_limits(row, defaults)


def _own_limits(row: Quota | None) -> QuotaLimits:
    return QuotaLimits(
        **{field.name: getattr(row, field.name, None) for field in fields(QuotaLimits)}
    )


def _merge_limits(row: Quota | None, defaults: QuotaLimits) -> QuotaLimits:
    merged: dict[str, Any] = {
        name: getattr(defaults, name) if value is None else value
        for name, value in vars(_own_limits(row)).items()
    }
    return QuotaLimits(**merged)


def _count_jobs(session: Session, owner: str, statuses: frozenset[JobStatus]) -> int:
    """Count the owner's jobs that have one of the statuses. Upload checks are not counted."""
    count = select(func.count()).select_from(Job)
    return session.execute(
        count.where(Job.owner == owner, Job.kind == JobKind.DISTILL, Job.status.in_(statuses))
    ).scalar_one()


def _count_bytes(session: Session, owner: str) -> int:
    """Sum the sizes of the owner's teachers, datasets, unfinished uploads and model files.

    A file that several rows share is counted once per row, so that deleting a row always reduces
    the owner's usage by the size of the file.
    """
    model_files = (
        select(func.sum(ModelFile.size))
        .join(Model, Model.id == ModelFile.model_id)
        .where(Model.owner == owner)
    )
    inputs = [
        select(func.sum(table.size)).where(table.owner == owner) for table in (Teacher, Dataset)
    ]
    uploads = select(func.sum(Upload.size)).where(Upload.owner == owner, Upload.used.is_(False))
    sums = (session.execute(query).scalar_one() for query in (*inputs, uploads, model_files))
    return sum(int(size or 0) for size in sums)


def _count_device_seconds(session: Session, owner: str) -> float:
    """Sum the device seconds of running attempts and of attempts that ended this month."""
    at = now(session)
    usage = session.get(DeviceUsage, (owner, _format_month(at)), populate_existing=True)
    running = (
        select(Attempt.started_at, Job.gpus * Job.processes)
        .join(Job, Job.id == Attempt.job_id)
        .where(
            Job.owner == owner,
            Job.kind == JobKind.DISTILL,
            Attempt.status == AttemptOutcome.RUNNING,
        )
    )
    rows: Sequence[Any] = session.execute(running).all()
    return (usage.seconds if usage else 0.0) + sum(
        _slot_seconds(started_at, at, slots) for started_at, slots in rows
    )


def _slot_seconds(started_at: datetime, finished_at: datetime, slots: int) -> float:
    return max(0.0, (finished_at - started_at).total_seconds()) * slots


def _format_month(at: datetime) -> str:
    return f"{at:%Y-%m}"


def _quota_error(name: str, used: float, limit: int) -> QuotaExceeded:
    return QuotaExceeded(f"The quota {name} is {limit} {_UNITS[name]}, and {used} are in use.")
