"""Uploads in several requests: begun, gone on with by one request at a time, finished, used, forgotten.

A request that writes holds the upload and says so again as it goes on; the hold of one that fell silent runs out. The row says
how much counts, and only its holder may say more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from registry import audit, paging
from registry.access import Principal, see
from registry.db import now, rows_of
from registry.errors import NotFound
from registry.ids import new_id
from registry.store import Stored
from registry.tables import Upload
from registry.upload_errors import OffsetDiffers, UploadLocked, UploadUnfinished, UploadUnknown

HOLD = timedelta(seconds=10)


@dataclass(frozen=True)
class Told:
    """What a client says of a file before it comes; `text` is how it said so."""

    size: int
    filename: str = "file"
    sha256: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Held:
    """An upload in the hands of one request. `stored`: all has come and lies under its digest."""

    id: str
    holder: str
    size: int
    received: int
    sha256: str | None
    stored: bool


def create(session: Session, principal: Principal, told: Told, *, kept: timedelta) -> Upload:
    """A new upload without a byte. The caller holds it against limits in the same transaction."""
    at = now(session)
    upload = Upload(
        id=new_id("upload"),
        owner=principal.owner,
        filename=told.filename,
        told=told.text,
        size=told.size,
        received=0,
        sha256=told.sha256,
        used=False,
        created_at=at,
        expires_at=at + kept,
    )
    session.add(upload)
    audit.note(session, principal.id, "upload.created", upload.id, size=told.size)
    session.flush()
    return upload


def get(session: Session, upload_id: str) -> Upload:
    """The upload of that id; `NotFound` also where its time is over."""
    upload = session.get(Upload, upload_id)
    if upload is None or upload.expires_at <= now(session):
        raise NotFound(f"There is no upload {upload_id}.")
    return upload


def page(session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[Upload]:
    """Uploads whose time is not over, newest first; of one owner, or of all."""
    query = paging.of_owner(select(Upload).where(Upload.expires_at > now(session)), Upload.owner, owner)
    return paging.page_of(session, query, Upload.id, limit=limit, cursor=cursor)


def take(session: Session, upload_id: str, *, offset: int | None = None) -> Held:
    """Takes hold of the upload for a request that goes on from `offset`.

    Raises:
        UploadLocked: another request holds it.
        OffsetDiffers: not that many bytes have come.
    """
    upload = get(session, upload_id)
    at, holder = now(session), new_id("hold")
    free = or_(Upload.holder.is_(None), Upload.held_until <= at)
    taken = update(Upload).where(Upload.id == upload_id, free).values(holder=holder, held_until=at + HOLD)
    if not rows_of(session.execute(taken)):
        raise UploadLocked(f"Another request writes to {upload_id}.")
    session.refresh(upload)
    if offset is not None and upload.received != offset:
        raise OffsetDiffers(upload.received)
    return Held(upload.id, holder, upload.size, upload.received, upload.sha256, upload.digest is not None)


def keep(session: Session, held: Held, received: int | None = None) -> None:
    """Goes on holding; with `received`, so many bytes count from now on. `UploadLocked` where another has taken over."""
    values = {"held_until": now(session) + HOLD} | ({} if received is None else {"received": received})
    _as_holder(session, held, values)


def release(session: Session, held: Held, *, kept: timedelta) -> None:
    """Lets go, if it still holds; from now on the upload waits for its next request as long as a new one does."""
    mine = update(Upload).where(Upload.id == held.id, Upload.holder == held.holder)
    session.execute(mine.values(holder=None, held_until=None, expires_at=now(session) + kept))


def finish(session: Session, held: Held, stored: Stored, *, actor: str) -> None:
    """All has come and is stored under its digest, which was recorded in the same transaction."""
    _as_holder(session, held, {"digest": stored.digest, "received": stored.size})
    audit.note(session, actor, "upload.finished", held.id, sha256=stored.digest, size=stored.size)


def remove(session: Session, held: Held, *, actor: str, why: str) -> None:
    """Forgets the upload; its bytes are the caller's to discard."""
    _as_holder(session, held, {"held_until": now(session) + HOLD})
    session.delete(session.get_one(Upload, held.id))
    audit.note(session, actor, f"upload.{why}", held.id)
    session.flush()


def finished(session: Session, upload_id: str, *, visible: str | None) -> Upload:
    """The upload whose bytes have all come; without a digest where whoever wrote the last ones died before they were stored.

    `UploadUnknown` also for another owner's than `visible`.
    """
    try:
        upload = get(session, upload_id)
        see(upload.owner, visible, f"upload {upload_id}")
    except NotFound as error:
        raise UploadUnknown(error.message, pointer="/upload_id") from error
    if upload.received < upload.size:
        raise UploadUnfinished(f"Of {upload.size} bytes {upload.received} have come.", pointer="/upload_id")
    return upload


def use(session: Session, upload_id: str) -> None:
    """Something was made of it, which counts in its place."""
    session.execute(update(Upload).where(Upload.id == upload_id).values(used=True))


def expired(session: Session, *, limit: int = 100) -> list[str]:
    """Uploads whose time is over and that nobody holds."""
    at = now(session)
    free = or_(Upload.holder.is_(None), Upload.held_until <= at)
    return list(session.execute(select(Upload.id).where(Upload.expires_at <= at, free).limit(limit)).scalars())


def expire(session: Session, upload_id: str) -> bool:
    """Forgets one whose time is over, and says whether it did; its bytes are the caller's to discard."""
    at = now(session)
    query = select(Upload).where(Upload.id == upload_id, Upload.expires_at <= at).with_for_update(skip_locked=True)
    upload = session.execute(query).scalar_one_or_none()
    if upload is None or (upload.holder is not None and upload.held_until is not None and upload.held_until > at):
        return False
    session.delete(upload)
    session.flush()
    return True


def _as_holder(session: Session, held: Held, values: Mapping[str, object]) -> None:
    mine = update(Upload).where(Upload.id == held.id, Upload.holder == held.holder)
    if not rows_of(session.execute(mine.values(**values))):
        raise UploadLocked(f"Another request has taken over {held.id}.")
