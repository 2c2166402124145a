"""Tests for garbage collection: on demand, periodic, and as a dry run."""

import os
from pathlib import Path
from time import time

from registry.storage.garbage_collection import GarbageItem, GarbageKind
from tests.worker.conftest import WorkerHarness
from worker.garbage import collect
from worker.housekeeping import collect_garbage


def create_garbage(harness: WorkerHarness, tmp_path: Path) -> list[GarbageItem]:
    """Store an old file without a database row and an old checkpoint without a job."""
    stored = harness.store_file(b"left behind")
    (tmp_path / "state").write_text("state")
    harness.store.put_key("checkpoints/job_gone/1-1", tmp_path / "state")
    for path in (harness.settings.data / "store").rglob("*"):
        os.utime(path, (time() - 7200,) * 2)
    return [
        GarbageItem(GarbageKind.FILE, stored.digest, 11),
        GarbageItem(GarbageKind.CHECKPOINT, "checkpoints/job_gone/1-1", 5),
    ]


def test_a_dry_run_lists_what_a_real_run_removes(harness: WorkerHarness, tmp_path: Path) -> None:
    items = create_garbage(harness, tmp_path)
    teacher = harness.store_file(b"referenced")
    assert harness.upload_teacher(b"referenced")
    arguments = (harness.database, harness.store, harness.settings)
    assert list(collect(*arguments, dry_run=True)) == items
    assert harness.store.exists(items[0].name)
    assert list(collect(*arguments)) == items
    assert list(collect(*arguments)) == []
    assert not harness.store.exists(items[0].name)
    assert harness.store.exists(teacher.digest)


def test_the_leader_collects_garbage(harness: WorkerHarness, tmp_path: Path) -> None:
    items = create_garbage(harness, tmp_path)
    collect_garbage(harness.create_context())
    assert not harness.store.exists(items[0].name)
    assert [entry.key for entry in harness.store.list_entries("checkpoints")] == []
