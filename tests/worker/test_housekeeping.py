"""What is removed because nobody needs it, and what stays."""

import os
from datetime import timedelta
from pathlib import Path
from time import time

import obstore

from registry import artifacts, claims, resumable, workers
from registry.db import now
from registry.keys import Principal
from registry.partials import partials
from registry.tables import IdempotencyKey, Upload, WorkerRow
from tests.worker.conftest import Workshop
from worker.housekeeping import search, tidy
from worker.inventory import facts

DAY = 24 * 3600


def aged(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time() - seconds,) * 2)
    return path


def checkpoints(workshop: Workshop) -> int:
    return sum(len(batch) for batch in obstore.list(workshop.store._store, "checkpoints"))


def saved(workshop: Workshop, tmp_path: Path) -> claims.Claim:
    """A running job with two checkpoints in the store, one of them left behind by an attempt that was killed."""
    claim = workshop.running()
    (tmp_path / "checkpoint").write_text("state")
    for name in ("1-1", "1-2"):
        workshop.store.put_key(f"checkpoints/{claim.job_id}/{name}", tmp_path / "checkpoint")
    workshop.do(claims.checkpoint, claim, f"checkpoints/{claim.job_id}/1-2", 2)
    return claim


def test_checkpoints_go_with_the_end_of_their_job(workshop: Workshop, tmp_path: Path) -> None:
    kit = workshop.kit()
    ended, running = saved(workshop, tmp_path), saved(workshop, tmp_path)
    workshop.finish(ended)
    tidy(kit)
    assert checkpoints(workshop) == 2
    assert workshop.job(ended.job_id).checkpoint_key is None
    assert workshop.job(running.job_id).checkpoint_key == f"checkpoints/{running.job_id}/1-2"


def test_files_that_no_row_names_go_and_the_others_stay(workshop: Workshop) -> None:
    named = workshop.put(b"named")
    left = workshop.put(b"left behind")
    workshop.do(artifacts.record, workshop.store, left)
    teacher = workshop.teacher(b"named")
    tidy(workshop.kit())
    assert workshop.store.exists(left.digest)  # it may be about to be named
    tidy(workshop.kit(gc_grace_seconds=0))
    assert teacher
    assert (workshop.store.exists(named.digest), workshop.store.exists(left.digest)) == (True, False)


def test_workers_and_answers_are_forgotten_after_a_day(workshop: Workshop) -> None:
    kit = workshop.kit()
    for name in ("worker_old", "worker_new"):
        workshop.do(workers.announce, name, facts(kit.settings, []))
    with workshop.database.write() as session:
        at = now(session)
        session.get_one(WorkerRow, "worker_old").last_seen = at - timedelta(days=2)
        for key, expires_at in {"old": at - timedelta(seconds=1), "new": at + timedelta(hours=1)}.items():
            row = {"principal": Principal("key_test", "test").id, "key": key, "body_hash": "0", "response": None}
            session.add(IdempotencyKey(**row, expires_at=expires_at))
    tidy(kit)
    with workshop.database.read() as session:
        assert [row.id for row in session.query(WorkerRow)] == ["worker_new"]
        assert [row.key for row in session.query(IdempotencyKey)] == ["new"]


def test_messages_of_the_file_queue_go_after_an_hour(workshop: Workshop) -> None:
    folder = workshop.settings.data / "queue"
    old = [aged(folder / place / "1.msg", 2 * 3600) for place in ("messages", "processed")]
    young, other = aged(folder / "messages" / "2.msg", 60), aged(folder / "control" / "exchange", DAY)
    tidy(workshop.kit())
    assert [path.exists() for path in old] == [False, False]
    assert young.exists()
    assert other.exists()


def test_a_broker_without_files_has_nothing_to_tidy(workshop: Workshop) -> None:
    tidy(workshop.kit(broker_url="redis://127.0.0.1:1/0"))


def test_uploads_that_broke_off_go_after_a_day_and_nothing_else_beside_them(workshop: Workshop) -> None:
    scratch = workshop.store.scratch
    broken, young = aged(scratch / "dlkd-upload-1", 2 * DAY), aged(scratch / "dlkd-upload-2", 60)
    others: list[Path] = [aged(scratch / "upload-of-somebody-else", 2 * DAY), aged(scratch / "upload-folder" / "x", 2 * DAY)]
    os.utime(others[1].parent, (0, 0))
    tidy(workshop.kit())
    assert not broken.exists()
    assert all(path.exists() for path in [young, *others])


def test_an_upload_in_progress_has_the_name_that_is_looked_for(workshop: Workshop) -> None:
    with workshop.store.writer() as writer:
        writer.write(b"half")
        (path,) = workshop.store.scratch.iterdir()
        assert path.name.startswith("dlkd-upload-")


def test_an_upload_goes_whose_next_request_did_not_come(workshop: Workshop) -> None:
    names = []
    for kept in (timedelta(seconds=-1), timedelta(days=1)):
        upload = workshop.do(resumable.create, Principal("key_test", "test"), resumable.Told(10), kept=kept).id
        partials(workshop.store).write(upload, 0, b"half")
        names.append(upload)
    tidy(workshop.kit())
    with workshop.database.read() as session:
        assert [session.get(Upload, name) is not None for name in names] == [False, True]
    assert [entry.key.split("/")[1] for entry in workshop.store.listed("uploads")] == names[1:]


def test_bytes_of_uploads_that_no_row_knows_are_found(workshop: Workshop) -> None:
    known = workshop.do(resumable.create, Principal("key_test", "test"), resumable.Told(10), kept=timedelta(days=1)).id
    for name in (known, "upload_0"):
        partials(workshop.store).write(name, 0, b"half")
    search(workshop.kit())
    assert len(list(workshop.store.listed("uploads"))) == 2  # its row may be about to be written
    search(workshop.kit(gc_grace_seconds=0))
    assert [entry.key.split("/")[1] for entry in workshop.store.listed("uploads")] == [known]
