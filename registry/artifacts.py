"""Stored files and the rows that name them: what no row names is forgotten."""

from datetime import datetime, timedelta

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


def _named(session: Session, digest: str) -> bool:
    named = _names().subquery()
    return session.execute(select(named.c.digest).where(named.c.digest == digest).limit(1)).first() is not None


def _names() -> CompoundSelect[str]:
    """All that rows name: the one place that says which files are needed. A job that has not ended needs its inputs."""
    return (
        select(Teacher.sha256.label("digest"))
        .where(Teacher.status != "invalid")
        .union_all(
            select(Dataset.sha256).where(Dataset.status != "invalid"),
            select(Dataset.packed_sha256).where(Dataset.packed_sha256.is_not(None)),
            select(Dataset.samples_sha256).where(Dataset.samples_sha256.is_not(None)),
            select(ModelFile.sha256),
            select(Upload.digest).where(Upload.digest.is_not(None)),
            *(_inputs(role) for role in ROLES),
        )
    )


def _inputs(role: str) -> Select[str]:
    digest: ColumnElement[str] = Job.inputs[role]["digest"].as_string()
    return select(digest).where(Job.status.not_in(TERMINAL), digest.is_not(None))
