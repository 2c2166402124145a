"""Garbage collection: unreferenced objects are deleted after a grace period."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import time

import pytest
from sqlalchemy import select

from registry.attempts import claims
from registry.db.input_tables import Artifact, Dataset, Teacher
from registry.errors import StoredFileMissing
from registry.inputs import teachers
from registry.storage import artifacts, garbage_collection
from registry.storage.garbage_collection import GarbageItem, GarbageKind
from tests.registry.conftest import RegistryHarness

# The modification time of a new file may be slightly ahead of the database's clock.
NOW, HOUR = timedelta(seconds=-1), timedelta(hours=1)


def store_aged_file(harness: RegistryHarness, content: bytes, seconds: float) -> str:
    """Store a file with the given age and no database row, and return its digest."""
    stored = harness.store_file(content)
    path = harness.store.local_path(stored.digest)
    os.utime(path, (time() - seconds,) * 2)
    return str(stored.digest)


def delete_items(
    harness: RegistryHarness, items: list[GarbageItem], grace: timedelta = NOW
) -> list[bool]:
    return [
        harness.run(garbage_collection.delete_item, harness.store, item, grace=grace)
        for item in items
    ]


def test_unrecorded_files_are_deleted_once_they_are_old_enough(harness: RegistryHarness) -> None:
    old, young = store_aged_file(harness, b"old", 7200), store_aged_file(harness, b"young", 60)
    with harness.database.read() as session:
        found = list(garbage_collection.find_unrecorded_files(session, harness.store, grace=HOUR))
    assert found == [GarbageItem(GarbageKind.FILE, old, 3)]
    assert delete_items(harness, found, HOUR) == [True]
    assert (harness.store.exists(old), harness.store.exists(young)) == (False, True)
    with harness.database.read() as session:
        assert session.execute(select(Artifact)).first() is None


def test_storing_a_file_again_restarts_its_grace_period(harness: RegistryHarness) -> None:
    digest = store_aged_file(harness, b"bytes", 7200)
    with harness.database.read() as session:
        found = list(garbage_collection.find_unrecorded_files(session, harness.store, grace=HOUR))
    harness.store_file(b"bytes")
    assert delete_items(harness, found, HOUR) == [False]
    assert harness.store.exists(digest)


def test_referenced_files_stay(harness: RegistryHarness) -> None:
    teacher, dataset = harness.add_ready_teacher(), harness.add_ready_dataset()
    model = harness.finish(harness.start_job(dataset={"id": dataset}))
    stray = harness.store_file(b"stray")
    harness.run(artifacts.record, harness.store, stray)
    with harness.database.read() as session:
        items = garbage_collection.find_unreferenced_files(session, grace=NOW)
        assert [item.name for item in items] == [stray.digest]
        assert garbage_collection.find_unreferenced_files(session, grace=HOUR) == []
        referenced = {
            session.get_one(Teacher, teacher).sha256,
            session.get_one(Dataset, dataset).packed_sha256,
        }
        referenced |= {session.get_one(Dataset, dataset).sha256}
        assert model
    items_in_use = [GarbageItem(GarbageKind.FILE, digest, 1) for digest in referenced]
    assert delete_items(harness, items_in_use) == [False] * 3
    assert delete_items(harness, items) == [True]
    assert all(harness.store.exists(digest) for digest in referenced)


def test_checkpoints_stay_as_long_as_their_job_needs_them(
    harness: RegistryHarness, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("state")
    running, waiting = harness.start_job(), harness.start_job()
    harness.run(claims.record_checkpoint, waiting, f"checkpoints/{waiting.job_id}/1-2", 2)
    harness.run(claims.release, waiting)
    names = [
        f"{running.job_id}/1-1",
        f"{running.job_id}/1-2",
        f"{waiting.job_id}/1-1",
        f"{waiting.job_id}/1-2",
        "job_gone/1-1",
    ]
    for name in names:
        harness.store.put_key(f"checkpoints/{name}", tmp_path / "state")
    with harness.database.read() as session:
        assert (
            list(garbage_collection.find_orphaned_checkpoints(session, harness.store, grace=HOUR))
            == []
        )
        found = sorted(
            garbage_collection.find_orphaned_checkpoints(session, harness.store, grace=NOW),
            key=lambda item: item.name,
        )
    expected = sorted(f"checkpoints/{name}" for name in ("job_gone/1-1", f"{waiting.job_id}/1-1"))
    assert [(item.kind, item.name, item.size) for item in found] == [
        ("checkpoint", name, 5) for name in expected
    ]
    delete_items(harness, found)
    assert {entry.key for entry in harness.store.list_entries("checkpoints")} == {
        f"checkpoints/{name}" for name in names
    } - set(expected)


@pytest.mark.parametrize("known", [True, False])
def test_an_upload_of_bytes_under_deletion_is_complete_or_refused(
    harness: RegistryHarness, *, known: bool
) -> None:
    """Even without a grace period, no row may refer to a missing file."""
    content, done, results = b"the same bytes", Flag(), []
    digest = hashlib.sha256(content).hexdigest()

    def collect() -> None:
        while not done.wait(0.005):  # the pause lets the other thread write to SQLite
            harness.run(
                garbage_collection.delete_item,
                harness.store,
                GarbageItem(GarbageKind.FILE, digest, len(content)),
                grace=NOW,
            )

    def upload() -> str | None:
        stored = harness.store_file(content)
        try:
            with harness.database.write() as session:
                artifacts.record(session, harness.store, stored)
                return teachers.create(session, harness.principal, stored, filename="a.pth").id
        except StoredFileMissing:
            return None

    def delete_teacher(teacher: str) -> None:
        with harness.database.write() as session:
            session.delete(session.get_one(Teacher, teacher))
            if not known:
                session.delete(session.get_one(Artifact, digest))

    collector = Thread(target=collect)
    collector.start()
    try:
        for _ in range(40):
            teacher = upload()
            results.append(teacher is not None)
            if teacher is not None:
                assert harness.store.exists(digest)
                delete_teacher(teacher)
    finally:
        done.set()
        collector.join()
    assert any(results)
