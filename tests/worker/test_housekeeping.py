"""Tests for the periodic deletion of old data."""

import os
from datetime import timedelta
from pathlib import Path
from time import time

import obstore

from registry.access.permissions import Principal
from registry.attempts import claims
from registry.db.access_tables import IdempotencyKey
from registry.db.database import now
from registry.db.input_tables import Upload
from registry.db.worker_tables import WorkerRow
from registry.storage import artifacts
from registry.uploads import resumable_uploads
from registry.uploads.upload_parts import open_upload_parts
from registry.workers import membership
from tests.worker.conftest import WorkerHarness
from worker.hardware import describe_worker
from worker.housekeeping import clean_up, collect_garbage

DAY = 24 * 3600


def make_old_file(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time() - seconds,) * 2)
    return path


def count_checkpoints(harness: WorkerHarness) -> int:
    return sum(len(batch) for batch in obstore.list(harness.store._store, "checkpoints"))


def list_stored_uploads(harness: WorkerHarness) -> list[str]:
    return [entry.key.split("/")[1] for entry in harness.store.list_entries("uploads")]


def start_job_with_checkpoints(harness: WorkerHarness, tmp_path: Path) -> claims.Claim:
    """Start a job with two stored checkpoints. A killed attempt has left the first one behind."""
    claim = harness.start_job()
    (tmp_path / "checkpoint").write_text("state")
    for name in ("1-1", "1-2"):
        harness.store.put_key(f"checkpoints/{claim.job_id}/{name}", tmp_path / "checkpoint")
    harness.run(claims.record_checkpoint, claim, f"checkpoints/{claim.job_id}/1-2", 2)
    return claim


def test_checkpoints_of_finished_jobs_are_deleted(harness: WorkerHarness, tmp_path: Path) -> None:
    context = harness.create_context()
    finished = start_job_with_checkpoints(harness, tmp_path)
    running = start_job_with_checkpoints(harness, tmp_path)
    harness.finish(finished)
    clean_up(context)
    assert count_checkpoints(harness) == 2
    assert harness.get_job(finished.job_id).checkpoint_key is None
    assert harness.get_job(running.job_id).checkpoint_key == f"checkpoints/{running.job_id}/1-2"


def test_only_unreferenced_files_are_deleted(harness: WorkerHarness) -> None:
    referenced = harness.store_file(b"referenced")
    unreferenced = harness.store_file(b"left behind")
    harness.run(artifacts.record, harness.store, unreferenced)
    assert harness.upload_teacher(b"referenced")
    clean_up(harness.create_context())
    assert harness.store.exists(unreferenced.digest)  # a new row may soon refer to the file
    clean_up(harness.create_context(gc_grace_seconds=0))
    assert harness.store.exists(referenced.digest)
    assert not harness.store.exists(unreferenced.digest)


def test_dead_workers_and_expired_idempotency_keys_are_deleted(harness: WorkerHarness) -> None:
    context = harness.create_context()
    for name in ("worker_old", "worker_new"):
        harness.run(membership.register, name, describe_worker(context.settings, []))
    with harness.database.write() as session:
        current_time = now(session)
        session.get_one(WorkerRow, "worker_old").last_seen = current_time - timedelta(days=2)
        for key, expires_at in {
            "old": current_time - timedelta(seconds=1),
            "new": current_time + timedelta(hours=1),
        }.items():
            row = {
                "principal": Principal("key_test", "test").id,
                "key": key,
                "body_hash": "0",
                "response": None,
            }
            session.add(IdempotencyKey(**row, expires_at=expires_at))
    clean_up(context)
    with harness.database.read() as session:
        assert [row.id for row in session.query(WorkerRow)] == ["worker_new"]
        assert [row.key for row in session.query(IdempotencyKey)] == ["new"]


def test_messages_of_the_filesystem_broker_are_deleted_after_an_hour(
    harness: WorkerHarness,
) -> None:
    folder = harness.settings.data / "queue"
    old = [make_old_file(folder / name / "1.msg", 2 * 3600) for name in ("messages", "processed")]
    recent = make_old_file(folder / "messages" / "2.msg", 60)
    other = make_old_file(folder / "control" / "exchange", DAY)
    clean_up(harness.create_context())
    assert [path.exists() for path in old] == [False, False]
    assert recent.exists()
    assert other.exists()


def test_other_brokers_have_no_messages_to_delete(harness: WorkerHarness) -> None:
    clean_up(harness.create_context(broker_url="redis://127.0.0.1:1/0"))


def test_only_interrupted_uploads_are_deleted_after_a_day(
    harness: WorkerHarness,
) -> None:
    scratch = harness.store.scratch
    interrupted = make_old_file(scratch / "dlkd-upload-1", 2 * DAY)
    recent = make_old_file(scratch / "dlkd-upload-2", 60)
    others: list[Path] = [
        make_old_file(scratch / "upload-of-another-program", 2 * DAY),
        make_old_file(scratch / "upload-folder" / "x", 2 * DAY),
    ]
    os.utime(others[1].parent, (0, 0))
    clean_up(harness.create_context())
    assert not interrupted.exists()
    assert all(path.exists() for path in [recent, *others])


def test_an_upload_in_progress_has_the_expected_file_name(harness: WorkerHarness) -> None:
    with harness.store.writer() as writer:
        writer.write(b"half")
        (path,) = harness.store.scratch.iterdir()
        assert path.name.startswith("dlkd-upload-")


def test_a_resumable_upload_that_was_not_continued_is_deleted(harness: WorkerHarness) -> None:
    upload_ids = []
    for ttl in (timedelta(seconds=-1), timedelta(days=1)):
        upload_id = harness.run(
            resumable_uploads.create,
            Principal("key_test", "test"),
            resumable_uploads.UploadInfo(10),
            ttl=ttl,
        ).id
        open_upload_parts(harness.store).write(upload_id, 0, b"half")
        upload_ids.append(upload_id)
    clean_up(harness.create_context())
    with harness.database.read() as session:
        rows = [session.get(Upload, upload_id) for upload_id in upload_ids]
    assert [row is not None for row in rows] == [False, True]
    assert list_stored_uploads(harness) == upload_ids[1:]


def test_stored_parts_of_uploads_without_a_row_are_deleted(harness: WorkerHarness) -> None:
    known = harness.run(
        resumable_uploads.create,
        Principal("key_test", "test"),
        resumable_uploads.UploadInfo(10),
        ttl=timedelta(days=1),
    ).id
    for name in (known, "upload_0"):
        open_upload_parts(harness.store).write(name, 0, b"half")
    collect_garbage(harness.create_context())
    # Files within the grace period are kept, because the upload's row may not be committed yet.
    assert len(list_stored_uploads(harness)) == 2
    collect_garbage(harness.create_context(gc_grace_seconds=0))
    assert list_stored_uploads(harness) == [known]
