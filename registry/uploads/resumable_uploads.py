"""Resumable uploads: files that arrive in several consecutive requests.

A request that writes to an upload holds a lease on it and renews the lease as the transfer
progresses. If the request dies, its lease expires. The upload's row states how many bytes are
valid, and only the holder of the lease changes the row.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from registry.access import audit
from registry.access.ownership import check_visible
from registry.access.permissions import Principal
from registry.db import pagination
from registry.db.database import filter_equal, now, row_count
from registry.db.ids import new_id
from registry.db.input_tables import Upload
from registry.errors import NotFound
from registry.storage.object_store import StoredFile
from registry.uploads.upload_errors import (
    OffsetMismatch,
    UploadLocked,
    UploadUnfinished,
    UploadUnknown,
)

LEASE_DURATION = timedelta(seconds=10)


@dataclass(frozen=True)
class UploadInfo:
    """Properties of a file that a client declares before sending it.

    `raw_metadata` is the unparsed Upload-Metadata header.
    """

    size: int
    filename: str = "file"
    sha256: str | None = None
    raw_metadata: str = ""


@dataclass(frozen=True)
class UploadLease:
    """A request's lease on an upload.

    `stored` is True once the complete file is stored under its digest.
    """

    id: str
    holder: str
    size: int
    received: int
    sha256: str | None
    stored: bool


def create(session: Session, principal: Principal, info: UploadInfo, *, ttl: timedelta) -> Upload:
    """Create an empty upload. The caller checks quotas in the same transaction."""
    at = now(session)
    upload = Upload(
        id=new_id("upload"),
        owner=principal.owner,
        filename=info.filename,
        raw_metadata=info.raw_metadata,
        size=info.size,
        received=0,
        sha256=info.sha256,
        used=False,
        created_at=at,
        expires_at=at + ttl,
    )
    session.add(upload)
    audit.record_event(session, principal.id, "upload.created", upload.id, size=info.size)
    session.flush()
    return upload


def get(session: Session, upload_id: str) -> Upload:
    """Return an upload.

    Raises:
        NotFound: There is no upload with that id, or it has expired.
    """
    upload = session.get(Upload, upload_id)
    if upload is None or upload.expires_at <= now(session):
        raise NotFound(f"There is no upload {upload_id}.")
    return upload


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[Upload]:
    """Return a page of an owner's unexpired uploads, newest first.

    If `owner` is None, the uploads of all owners are listed.
    """
    unexpired = select(Upload).where(Upload.expires_at > now(session))
    query = filter_equal(unexpired, (Upload.owner, owner))
    return pagination.paginate(session, query, Upload.id, limit=limit, cursor=cursor)


def acquire(session: Session, upload_id: str, *, offset: int | None = None) -> UploadLease:
    """Lease the upload to a request that continues at `offset`.

    Raises:
        NotFound: There is no upload with that id, or it has expired.
        UploadLocked: Another request holds the lease.
        OffsetMismatch: The number of received bytes is not `offset`.
    """
    upload = get(session, upload_id)
    at, holder = now(session), new_id("hold")
    lease_statement = (
        update(Upload)
        .where(Upload.id == upload_id, _is_free(at))
        .values(holder=holder, held_until=at + LEASE_DURATION)
    )
    if not row_count(session.execute(lease_statement)):
        raise UploadLocked(f"Another request is writing to {upload_id}.")
    session.refresh(upload)
    if offset is not None and upload.received != offset:
        raise OffsetMismatch(upload.received)
    return UploadLease(
        upload.id, holder, upload.size, upload.received, upload.sha256, upload.digest is not None
    )


def renew(session: Session, lease: UploadLease, received: int | None = None) -> None:
    """Renew the lease and, unless `received` is None, set the number of received bytes.

    Raises:
        UploadLocked: Another request has taken over the lease.
    """
    values: dict[str, object] = {"held_until": now(session) + LEASE_DURATION}
    if received is not None:
        values["received"] = received
    _update_held(session, lease, values)


def release(session: Session, lease: UploadLease, *, ttl: timedelta) -> None:
    """Release the lease if it is still held, and restart the upload's time to live."""
    values = {"holder": None, "held_until": None, "expires_at": now(session) + ttl}
    with suppress(UploadLocked):
        _update_held(session, lease, values)


def finish(session: Session, lease: UploadLease, stored: StoredFile, *, actor: str) -> None:
    """Mark the upload as complete. The caller records the stored file in the same transaction.

    Raises:
        UploadLocked: Another request has taken over the lease.
    """
    _update_held(session, lease, {"digest": stored.digest, "received": stored.size})
    audit.record_event(
        session, actor, "upload.finished", lease.id, sha256=stored.digest, size=stored.size
    )


def delete_upload(session: Session, lease: UploadLease, *, actor: str, reason: str) -> None:
    """Delete the upload's row. The caller must discard the upload's bytes.

    Raises:
        UploadLocked: Another request has taken over the lease.
    """
    _update_held(session, lease, {"held_until": now(session) + LEASE_DURATION})
    session.delete(session.get_one(Upload, lease.id))
    audit.record_event(session, actor, f"upload.{reason}", lease.id)
    session.flush()


def get_finished(session: Session, upload_id: str, *, visible_owner: str | None) -> Upload:
    """Return an upload whose bytes have all been received.

    The upload has no digest yet if the process that received the last bytes died before storing the
    file.

    Raises:
        UploadUnknown: There is no such upload, or its owner is not `visible_owner`.
        UploadUnfinished: Not all bytes have been received.
    """
    try:
        upload = get(session, upload_id)
        check_visible(upload.owner, visible_owner, f"upload {upload_id}")
    except NotFound as error:
        raise UploadUnknown(error.message, pointer="/upload_id") from error
    if upload.received < upload.size:
        raise UploadUnfinished(
            f"Only {upload.received} of {upload.size} bytes were received.", pointer="/upload_id"
        )
    return upload


def mark_used(session: Session, upload_id: str) -> None:
    """Mark the upload as used. Quotas then count the row created from it, not the upload."""
    session.execute(update(Upload).where(Upload.id == upload_id).values(used=True))


def list_expired(session: Session, *, limit: int = 100) -> list[str]:
    """List the ids of expired uploads that no request has leased."""
    at = now(session)
    expired = select(Upload.id).where(Upload.expires_at <= at, _is_free(at))
    return list(session.execute(expired.limit(limit)).scalars())


def delete_expired(session: Session, upload_id: str) -> bool:
    """Delete the row of an upload if it has expired. Return whether it was deleted.

    The caller must discard the upload's bytes.
    """
    at = now(session)
    query = (
        select(Upload)
        .where(Upload.id == upload_id, Upload.expires_at <= at, _is_free(at))
        .with_for_update(skip_locked=True)
    )
    upload = session.execute(query).scalar_one_or_none()
    if upload is None:
        return False
    session.delete(upload)
    session.flush()
    return True


def _is_free(at: datetime) -> ColumnElement[bool]:
    return or_(Upload.holder.is_(None), Upload.held_until <= at)


def _update_held(session: Session, lease: UploadLease, values: Mapping[str, object]) -> None:
    is_held = (Upload.id == lease.id, Upload.holder == lease.holder)
    if not row_count(session.execute(update(Upload).where(*is_held).values(**values))):
        raise UploadLocked(f"Another request has taken over {lease.id}.")
