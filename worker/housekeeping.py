"""Periodic removal of old data, such as checkpoints, unreferenced files and job histories."""

import logging
from datetime import timedelta
from pathlib import Path
from time import time

from registry.access import idempotency
from registry.attempts import maintenance
from registry.jobs.job_queue import filesystem_broker_folder
from registry.storage import garbage_collection
from registry.storage.object_store import CHECKPOINTS_PREFIX, TEMP_FILE_PREFIX
from registry.uploads import resumable_uploads
from registry.uploads.upload_parts import open_upload_parts
from registry.webhooks import deliveries
from registry.workers import membership
from worker.context import WorkerContext
from worker.garbage import collect, remove

_log = logging.getLogger(__name__)
_WORKER_RETENTION = timedelta(days=1)
_MESSAGE_RETENTION_SECONDS = 3600.0
_UPLOAD_RETENTION_SECONDS = 24 * 3600.0  # longer than any upload takes


def clean_up(context: WorkerContext) -> None:
    """Remove expired data in small transactions."""
    _delete_finished_checkpoints(context)
    _delete_unreferenced_files(context)
    _prune_history(context)
    with context.database.write() as session:
        idempotency.prune(session)
        deliveries.prune(session)
        membership.prune(session, silent_for=_WORKER_RETENTION)
    # Celery's filesystem broker keeps messages after they have been read.
    messages = filesystem_broker_folder(context.settings.broker_url)
    if messages is not None:
        _delete_old_files(messages, "*/*.msg*", _MESSAGE_RETENTION_SECONDS)
    # These temporary files are left by uploads whose process was killed.
    _delete_old_files(context.store.scratch, f"{TEMP_FILE_PREFIX}*", _UPLOAD_RETENTION_SECONDS)
    _expire_resumable_uploads(context)


def _delete_finished_checkpoints(context: WorkerContext) -> None:
    with context.database.write() as session:
        for job in maintenance.list_stale_checkpoints(
            session, retention=timedelta(seconds=context.settings.kept_checkpoint_seconds)
        ):
            context.store.delete_prefix(f"{CHECKPOINTS_PREFIX}/{job.id}")
            job.checkpoint_key = job.checkpoint_step = None


def _delete_unreferenced_files(context: WorkerContext) -> None:
    grace = timedelta(seconds=context.settings.gc_grace_seconds)
    with context.database.read() as session:
        items = garbage_collection.find_unreferenced_files(session, grace=grace)
    for item in items:
        remove(context.database, context.store, item, grace)


def _prune_history(context: WorkerContext) -> None:
    if context.settings.kept_history_seconds is not None:
        with context.database.write() as session:
            maintenance.prune_history(
                session, retention=timedelta(seconds=context.settings.kept_history_seconds)
            )


def collect_garbage(context: WorkerContext) -> None:
    """Remove unreferenced objects. This runs rarely, because it lists the whole store."""
    for item in collect(context.database, context.store, context.settings):
        _log.info("Removed unreferenced %s %s (%d bytes)", item.kind, item.name, item.size)


def _delete_old_files(folder: Path, pattern: str, retention_seconds: float) -> None:
    for path in folder.glob(pattern):
        if path.stat().st_mtime < time() - retention_seconds:
            path.unlink(missing_ok=True)


def _expire_resumable_uploads(context: WorkerContext) -> None:
    """Delete resumable uploads that were not continued in time."""
    with context.database.read() as session:
        expired = resumable_uploads.list_expired(session)
    for upload_id in expired:
        with context.database.write() as session:
            deleted = resumable_uploads.delete_expired(session, upload_id)
        if deleted:
            open_upload_parts(context.store).discard(upload_id)
