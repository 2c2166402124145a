"""Stored files and the rows that name them: what no row names is forgotten."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from sqlalchemy import ColumnElement, CompoundSelect, Select, select
from sqlalchemy.orm import Session

from registry.db import now, upsert
from registry.errors import FileMissing
from registry.lifecycle import TERMINAL
from registry.roles import ROLES
from registry.store import Store, Stored
from registry.tables import Artifact, Dataset, Job, ModelFile, Teacher, Upload


def record(session: Session, store: Store, stored: Stored) -> None:
    """Notes that a row is about to name a stored file. In the same transaction as that row: so nobody forgets the file meanwhile.

    Raises `FileMissing` in the rare case that somebody has just forgotten the same bytes.
    """
    row = {"digest": stored.digest, "size": stored.size, "created_at": now(session)}
    upsert(session, Artifact, [row], keys=["digest"], update=["size"])  # writes either way, so that PostgreSQL locks the row
    if not store.exists(stored.digest):
        raise FileMissing("The upload was cleaned away while it was being taken in.", hint="Send it again.")


def forget(session: Session, store: Store, digest: str) -> bool:
    """Removes a file that no row names any more, and says whether it did."""
    artifact = session.execute(select(Artifact).where(Artifact.digest == digest).with_for_update()).scalar_one_or_none()
    if artifact is None or _named(session, digest):
        return False
    store.delete(digest)
    session.delete(artifact)
    return True


def collect(session: Session, store: Store, digest: str, size: int, *, grace: timedelta) -> bool:
    """Removes a file that no row names and that was stored long enough ago, known by a row or not; says whether it did.

    Its row is made where there is none: whoever takes in the same bytes now waits for it in `record`, and looks again.
    """
    row = {"digest": digest, "size": size, "created_at": now(session)}
    upsert(session, Artifact, [row], keys=["digest"])
    stored = store.modified(digest)
    if stored is not None and stored > now(session) - grace:
        return False
    return forget(session, store, digest)


def unnamed(session: Session, *, before: datetime | None = None, limit: int = 100) -> list[Artifact]:
    """Stored files that no row names: what was left behind when a worker died between two transactions."""
    named = _names().subquery()
    query = select(Artifact).where(Artifact.digest.not_in(select(named.c.digest))).order_by(Artifact.created_at).limit(limit)
    if before is not None:
        query = query.where(Artifact.created_at <= before)
    return list(session.execute(query).scalars())


@dataclass(frozen=True)
class Fault:
    """A file that the row of that id names, and what is wrong with it in the store."""

    problem: Literal["missing", "size differs", "bytes differ"]
    digest: str
    row: str


def faults(session: Session, store: Store, *, read: bool = False) -> Iterator[Fault]:
    """What rows name and the store has not, or not as it was; with `read`, every byte is looked at. By digest and row."""
    named = _names().subquery()
    rows = select(named.c.digest, named.c.row, Artifact.size).outerjoin(Artifact, Artifact.digest == named.c.digest).distinct()
    wanted = session.execute(rows.order_by(named.c.digest, named.c.row)).all()
    there = {entry.key.rpartition("/")[2]: entry.size for entry in store.listed("objects")}  # after the rows: files come first
    for digest, same in groupby(wanted, lambda row: row[0]):
        ids, sizes = zip(*((row, size) for _, row, size in same), strict=True)
        problem = _problem(store, digest, sizes[0], there.get(digest), read=read)
        if problem is not None:
            yield from (Fault(problem, digest, row) for row in ids)


def _problem(
    store: Store, digest: str, size: int, found: int | None, *, read: bool
) -> Literal["missing", "size differs", "bytes differ"] | None:
    if found is None:
        return "missing"
    if found != size:
        return "size differs"
    if read:
        hashed = hashlib.sha256()
        for piece in store.read(digest):
            hashed.update(piece)
        return None if hashed.hexdigest() == digest else "bytes differ"
    return None


def _named(session: Session, digest: str) -> bool:
    named = _names().subquery()
    return session.execute(select(named.c.digest).where(named.c.digest == digest).limit(1)).first() is not None


def _names() -> CompoundSelect[str, str]:
    """All that rows name, with their ids: the one place that says what is needed. A job that has not ended needs its inputs."""
    return (
        select(Teacher.sha256.label("digest"), Teacher.id.label("row"))
        .where(Teacher.status != "invalid")
        .union_all(
            select(Dataset.sha256, Dataset.id).where(Dataset.status != "invalid"),
            select(Dataset.packed_sha256, Dataset.id).where(Dataset.packed_sha256.is_not(None)),
            select(Dataset.samples_sha256, Dataset.id).where(Dataset.samples_sha256.is_not(None)),
            select(ModelFile.sha256, ModelFile.model_id),
            select(Upload.digest, Upload.id).where(Upload.digest.is_not(None)),
            *(_inputs(role) for role in ROLES),
        )
    )


def _inputs(role: str) -> Select[str, str]:
    digest: ColumnElement[str] = Job.inputs[role]["digest"].as_string()
    return select(digest, Job.id).where(Job.status.not_in(TERMINAL), digest.is_not(None))
