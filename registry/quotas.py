"""Limits of owners, counted under a lock of the owner's row: requests and workers that race cannot pass together."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from registry import lifecycle, paging
from registry.access_tables import DeviceUse, Quota
from registry.db import now, upsert
from registry.errors import QuotaExceeded
from registry.lifecycle import JobStatus
from registry.settings import Settings
from registry.tables import Attempt, Dataset, Job, Model, ModelFile, Teacher, Upload

_DISTILL = "distill"  # checks of uploads are nobody's burden
_WORDS = {
    "queued_jobs": "waiting jobs",
    "stored_bytes": "stored bytes",
    "device_seconds": "device seconds in this month",
}


@dataclass(frozen=True)
class Limits:
    """How much an owner may have; None: any number."""

    queued_jobs: int | None = None
    running_jobs: int | None = None
    stored_bytes: int | None = None
    device_seconds: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The service's defaults."""
        return cls(**{field.name: getattr(settings, f"quota_{field.name}") for field in fields(cls)})


@dataclass(frozen=True)
class Use:
    """What is used of a limit."""

    used: float
    limit: int | None


@dataclass(frozen=True)
class Usage:
    """Everything that an owner uses."""

    owner: str
    queued_jobs: Use
    running_jobs: Use
    stored_bytes: Use
    device_seconds: Use
    own: Limits


def check_jobs(session: Session, owner: str, defaults: Limits) -> None:
    """Raises `QuotaExceeded` where the jobs that now wait are too many, or the month's device seconds are spent."""
    limits = _locked(session, owner, defaults)
    if limits.queued_jobs is not None and (used := _jobs(session, owner, lifecycle.WAITING)) > limits.queued_jobs:
        raise _exceeded("queued_jobs", used - 1, limits.queued_jobs)
    if limits.device_seconds is not None and (spent := _device_seconds(session, owner)) >= limits.device_seconds:
        raise _exceeded("device_seconds", round(spent), limits.device_seconds)


def check_bytes(session: Session, owner: str, defaults: Limits) -> None:
    """Raises `QuotaExceeded` where what is stored now is too much."""
    limits = _locked(session, owner, defaults)
    if limits.stored_bytes is not None and (used := _bytes(session, owner)) > limits.stored_bytes:
        raise _exceeded("stored_bytes", used, limits.stored_bytes)


def may_run(session: Session, owner: str, default: int | None) -> bool:
    """Whether another job of the owner may start. The answer holds until the transaction ends."""
    limit = _locked(session, owner, Limits(running_jobs=default)).running_jobs
    return limit is None or _jobs(session, owner, lifecycle.LEASED) < limit


def note_use(session: Session, job: Job, attempt: Attempt, at: datetime) -> None:
    """Adds an attempt that ended at `at` to what its owner took in the month."""
    if job.kind != _DISTILL:
        return
    key = {"owner": job.owner, "month": _month(at)}
    upsert(session, DeviceUse, [{**key, "seconds": 0.0}], keys=["owner", "month"])
    mine = (DeviceUse.owner == key["owner"], DeviceUse.month == key["month"])
    session.execute(
        update(DeviceUse).where(*mine).values(seconds=DeviceUse.seconds + _seconds(attempt.started_at, at, job.slots))
    )


def usage(session: Session, owner: str, defaults: Limits) -> Usage:
    """What the owner uses now, beside its limits."""
    own = _own(session.get(Quota, owner))
    limits = _merged(own, defaults)
    return Usage(
        owner=owner,
        queued_jobs=Use(_jobs(session, owner, lifecycle.WAITING), limits.queued_jobs),
        running_jobs=Use(_jobs(session, owner, lifecycle.LEASED), limits.running_jobs),
        stored_bytes=Use(_bytes(session, owner), limits.stored_bytes),
        device_seconds=Use(_device_seconds(session, owner), limits.device_seconds),
        own=own,
    )


def page(session: Session, defaults: Limits, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Usage]:
    """Owners that have limits of their own."""
    own = or_(*(getattr(Quota, field.name).is_not(None) for field in fields(Limits)))
    found = paging.page_of(session, select(Quota).where(own), Quota.owner, limit=limit, cursor=cursor)
    return paging.Page([usage(session, row.owner, defaults) for row in found.items], found.next_cursor)


def put(session: Session, owner: str, limits: dict[str, int | None]) -> None:
    """Sets the owner's own limits, all of them."""
    upsert(session, Quota, [{"owner": owner, **limits}], keys=["owner"], update=list(limits))


def _locked(session: Session, owner: str, defaults: Limits) -> Limits:
    """The owner's limits; where there are any, whoever asks next waits until this transaction ends."""
    session.flush()
    found = _merged(_own(session.get(Quota, owner, populate_existing=True)), defaults)
    if found == Limits():
        return found
    upsert(session, Quota, [{"owner": owner}], keys=["owner"])
    row = session.get_one(Quota, owner, with_for_update=True, populate_existing=True)
    return _merged(_own(row), defaults)


def _own(row: Quota | None) -> Limits:
    return Limits(**{field.name: getattr(row, field.name, None) for field in fields(Limits)})


def _merged(own: Limits, defaults: Limits) -> Limits:
    chosen: dict[str, Any] = {name: getattr(defaults, name) if value is None else value for name, value in vars(own).items()}
    return Limits(**chosen)


def _jobs(session: Session, owner: str, states: frozenset[JobStatus]) -> int:
    mine = (Job.owner == owner, Job.kind == _DISTILL, Job.status.in_(states))
    return session.execute(select(func.count()).select_from(Job).where(*mine)).scalar_one()


def _bytes(session: Session, owner: str) -> int:
    """Of uploads as they came or are to come, and of models.

    What several rows share counts for each: who deletes one frees its part.
    """
    files = select(func.sum(ModelFile.size)).join(Model, Model.id == ModelFile.model_id).where(Model.owner == owner)
    uploads = [select(func.sum(table.size)).where(table.owner == owner) for table in (Teacher, Dataset)]
    coming = select(func.sum(Upload.size)).where(Upload.owner == owner, Upload.used.is_(False))
    return sum(int(session.execute(query).scalar_one() or 0) for query in (*uploads, coming, files))


def _device_seconds(session: Session, owner: str) -> float:
    """Of the attempts that ended in this month, and of those that run."""
    at = now(session)
    use = session.get(DeviceUse, (owner, _month(at)), populate_existing=True)
    running = select(Attempt.started_at, Job.gpus * Job.processes).join(Job, Job.id == Attempt.job_id)
    mine = running.where(Job.owner == owner, Job.kind == _DISTILL, Attempt.status == "running")
    rows: Sequence[Any] = session.execute(mine).all()
    return (use.seconds if use else 0.0) + sum(_seconds(began, at, slots) for began, slots in rows)


def _seconds(began: datetime, ended: datetime, slots: int) -> float:
    return max(0.0, (ended - began).total_seconds()) * slots


def _month(at: datetime) -> str:
    return f"{at:%Y-%m}"


def _exceeded(name: str, used: float, limit: int) -> QuotaExceeded:
    return QuotaExceeded(f"The limit {name} is {limit} {_WORDS[name]}; {used} are used.")
