"""Records of stored files, and deletion of files that no row refers to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from sqlalchemy import ColumnElement, CompoundSelect, Select, select
from sqlalchemy.orm import Session

from registry.db.database import lock_row, now, upsert
from registry.db.input_tables import Artifact, Dataset, Teacher, Upload
from registry.db.job_tables import Job
from registry.db.model_tables import ModelFile
from registry.errors import StoredFileMissing
from registry.inputs.input_roles import INPUT_ROLES
from registry.jobs.lifecycle import TERMINAL
from registry.storage.object_store import OBJECTS_PREFIX, Store, StoredFile, hash_chunks
from registry.uploads.upload_check_jobs import UploadStatus

Problem = Literal["missing", "size differs", "bytes differ"]


def record(session: Session, store: Store, stored: StoredFile) -> None:
    """Record a stored file. Call this in the transaction that adds the row referring to it.

    This prevents the file from being deleted before the reference is committed.

    Raises:
        StoredFileMissing: The file was deleted after it had been stored. This is rare.
    """
    row = {"digest": stored.digest, "size": stored.size, "created_at": now(session)}
    # Updating the size of an existing row makes PostgreSQL lock it.
    upsert(session, Artifact, [row], keys=["digest"], update=["size"])
    if not store.exists(stored.digest):
        raise StoredFileMissing(
            "The uploaded file was deleted as unused while the request was being processed.",
            hint="Upload it again.",
        )


def delete_if_unreferenced(session: Session, store: Store, digest: str) -> bool:
    """Delete a file unless a row refers to it. Return whether it was deleted."""
    artifact = lock_row(session, select(Artifact).where(Artifact.digest == digest))
    if artifact is None or _is_referenced(session, digest):
        return False
    store.delete(digest)
    session.delete(artifact)
    return True


def delete_if_expired(
    session: Session, store: Store, digest: str, size: int, *, grace: timedelta
) -> bool:
    """Delete an unreferenced file older than `grace`. Return whether it was deleted.

    A file that was never recorded is recorded first. A concurrent upload of the same bytes then
    waits in `record` until this transaction ends, and only then checks that the file exists.
    """
    row = {"digest": digest, "size": size, "created_at": now(session)}
    upsert(session, Artifact, [row], keys=["digest"])
    stored_at = store.modified_at(digest)
    if stored_at is not None and stored_at > now(session) - grace:
        return False
    return delete_if_unreferenced(session, store, digest)


def find_unreferenced(
    session: Session, *, created_before: datetime | None = None, limit: int = 100
) -> list[Artifact]:
    """List recorded files that no row refers to, oldest first.

    Such files are left over when a process dies between two transactions.
    """
    referenced = _referenced_digests().subquery()
    query = (
        select(Artifact)
        .where(Artifact.digest.not_in(select(referenced.c.digest)))
        .order_by(Artifact.created_at)
        .limit(limit)
    )
    if created_before is not None:
        query = query.where(Artifact.created_at <= created_before)
    return list(session.execute(query).scalars())


@dataclass(frozen=True)
class StoreFault:
    """A problem with a stored file to which a row refers: it is missing or damaged."""

    problem: Problem
    digest: str
    row_id: str


def find_faults(
    session: Session, store: Store, *, verify_content: bool = False
) -> Iterator[StoreFault]:
    """Yield the referenced files that are missing or damaged, ordered by digest and row.

    With `verify_content`, every byte is read and compared with the digest.
    """
    referenced = _referenced_digests().subquery()
    query = (
        select(referenced.c.digest, referenced.c.row, Artifact.size)
        .outerjoin(Artifact, Artifact.digest == referenced.c.digest)
        .distinct()
        .order_by(referenced.c.digest, referenced.c.row)
    )
    references = session.execute(query).all()
    # The store is listed after the rows have been read, because files are stored before their rows.
    stored_sizes = {
        entry.key.rpartition("/")[2]: entry.size for entry in store.list_entries(OBJECTS_PREFIX)
    }
    for digest, rows in groupby(references, lambda row: row[0]):
        row_ids, sizes = zip(*((row_id, size) for _, row_id, size in rows), strict=True)
        problem = _find_problem(
            store, digest, sizes[0], stored_sizes.get(digest), verify_content=verify_content
        )
        if problem is not None:
            yield from (StoreFault(problem, digest, row_id) for row_id in row_ids)


def _find_problem(
    store: Store, digest: str, size: int, stored_size: int | None, *, verify_content: bool
) -> Problem | None:
    if stored_size is None:
        return "missing"
    if stored_size != size:
        return "size differs"
    if verify_content and hash_chunks(store.read(digest)) != digest:
        return "bytes differ"
    return None


def _is_referenced(session: Session, digest: str) -> bool:
    referenced = _referenced_digests().subquery()
    query = select(referenced.c.digest).where(referenced.c.digest == digest).limit(1)
    return session.execute(query).first() is not None


def _referenced_digests() -> CompoundSelect[str, str]:
    """Select all referenced digests, with the ids of the rows that refer to them.

    This is the only place that defines which files are needed. The inputs of a job are needed
    until the job ends.
    """
    return (
        select(Teacher.sha256.label("digest"), Teacher.id.label("row"))
        .where(Teacher.status != UploadStatus.INVALID)
        .union_all(
            select(Dataset.sha256, Dataset.id).where(Dataset.status != UploadStatus.INVALID),
            select(Dataset.packed_sha256, Dataset.id).where(Dataset.packed_sha256.is_not(None)),
            select(Dataset.samples_sha256, Dataset.id).where(Dataset.samples_sha256.is_not(None)),
            select(Dataset.examples_sha256, Dataset.id).where(Dataset.examples_sha256.is_not(None)),
            select(ModelFile.sha256, ModelFile.model_id),
            select(Upload.digest, Upload.id).where(Upload.digest.is_not(None)),
            *(_input_digests(role) for role in INPUT_ROLES),
        )
    )


def _input_digests(role: str) -> Select[str, str]:
    digest: ColumnElement[str] = Job.inputs[role]["digest"].as_string()
    return select(digest, Job.id).where(Job.status.not_in(TERMINAL), digest.is_not(None))
