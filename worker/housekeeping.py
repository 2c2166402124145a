"""What nobody needs any more: checkpoints of ended jobs, files without a row, old answers, silent workers, handled messages."""

import logging
from datetime import timedelta
from time import time

from registry import garbage, history, idempotency, resumable, sweeps, webhooks, workers
from registry.partials import partials
from registry.queue import queue_folder
from registry.store import UPLOAD_PREFIX
from worker.garbage import collect, removed
from worker.kit import Kit

_log = logging.getLogger(__name__)
_SILENT = timedelta(days=1)
_HANDLED_SECONDS = 3600.0
_UPLOAD_SECONDS = 24 * 3600.0  # nothing takes longer to upload


def tidy(kit: Kit) -> None:
    """Removes all of it, in small transactions."""
    _checkpoints(kit)
    _files(kit)
    _history(kit)
    with kit.database.write() as session:
        idempotency.prune(session)
        webhooks.prune(session)
        workers.prune(session, silent=_SILENT)
    _messages(kit)
    _uploads(kit)
    _halves(kit)


def _checkpoints(kit: Kit) -> None:
    with kit.database.write() as session:
        for job in sweeps.ended_with_checkpoint(session, kept=timedelta(seconds=kit.settings.kept_checkpoint_seconds)):
            kit.store.delete_under(f"checkpoints/{job.id}")
            job.checkpoint_key = job.checkpoint_step = None


def _files(kit: Kit) -> None:
    grace = timedelta(seconds=kit.settings.gc_grace_seconds)
    with kit.database.read() as session:
        items = garbage.unnamed(session, grace=grace)
    for item in items:
        removed(kit.database, kit.store, item, grace)


def _history(kit: Kit) -> None:
    if kit.settings.kept_history_seconds is not None:
        with kit.database.write() as session:
            history.prune(session, kept=timedelta(seconds=kit.settings.kept_history_seconds))


def search(kit: Kit) -> None:
    """Looks through the whole store for what nobody names: rarely, because it reads every name in it."""
    for item in collect(kit.database, kit.store, kit.settings):
        _log.info("removed the %s %s (%d bytes): nobody names it", item.kind, item.name, item.size)


def _messages(kit: Kit) -> None:
    """Celery's file queue keeps what was read, and hints that expired unread are no use either."""
    folder = queue_folder(kit.settings.broker_url)
    for path in folder.glob("*/*.msg") if folder else ():
        if path.stat().st_mtime < time() - _HANDLED_SECONDS:
            path.unlink(missing_ok=True)


def _uploads(kit: Kit) -> None:
    """Uploads that a killed program left half-way."""
    for path in kit.store.scratch.glob(f"{UPLOAD_PREFIX}*"):
        if path.stat().st_mtime < time() - _UPLOAD_SECONDS:
            path.unlink(missing_ok=True)


def _halves(kit: Kit) -> None:
    """Uploads in several requests whose next one did not come."""
    with kit.database.read() as session:
        late = resumable.expired(session)
    for upload_id in late:
        with kit.database.write() as session:
            gone = resumable.expire(session, upload_id)
        if gone:
            partials(kit.store).discard(upload_id)
