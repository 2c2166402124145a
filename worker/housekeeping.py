"""What nobody needs any more: checkpoints of ended jobs, files without a row, old answers, silent workers, handled messages."""

from datetime import timedelta
from time import time

from registry import artifacts, idempotency, sweeps, workers
from registry.queue import queue_folder
from worker.kit import Kit

_SILENT = timedelta(days=1)
_HANDLED_SECONDS = 3600.0
_UPLOAD_SECONDS = 24 * 3600.0  # nothing takes longer to upload


def tidy(kit: Kit) -> None:
    """Removes all of it, in small transactions."""
    _checkpoints(kit)
    _files(kit)
    with kit.database.write() as session:
        idempotency.prune(session)
        workers.prune(session, silent=_SILENT)
    _messages(kit)
    _uploads(kit)


def _checkpoints(kit: Kit) -> None:
    with kit.database.write() as session:
        for job in sweeps.ended_with_checkpoint(session):
            kit.store.delete_under(f"checkpoints/{job.id}")
            job.checkpoint_key = job.checkpoint_step = None


def _files(kit: Kit) -> None:
    with kit.database.read() as session:
        unnamed = artifacts.unnamed(session)
    for digest in unnamed:
        with kit.database.write() as session:
            artifacts.forget(session, kit.store, digest)


def _messages(kit: Kit) -> None:
    """Celery's file queue keeps what was read, and hints that expired unread are no use either."""
    folder = queue_folder(kit.settings.broker_url)
    for path in folder.glob("*/*.msg") if folder else ():
        if path.stat().st_mtime < time() - _HANDLED_SECONDS:
            path.unlink(missing_ok=True)


def _uploads(kit: Kit) -> None:
    """Uploads that a killed program left half-way."""
    for path in kit.store.scratch.glob(f"{artifacts.UPLOAD_PREFIX}*"):
        if path.stat().st_mtime < time() - _UPLOAD_SECONDS:
            path.unlink(missing_ok=True)
