"""What is collected on demand and by the dispatcher, and what a dry run leaves alone."""

import os
from pathlib import Path
from time import time

from registry.garbage import Item
from tests.worker.conftest import Workshop
from worker.garbage import collect
from worker.housekeeping import search


def left_behind(workshop: Workshop, tmp_path: Path) -> list[Item]:
    """A file without a row and a checkpoint without a job, both old."""
    stored = workshop.put(b"left behind")
    (tmp_path / "state").write_text("state")
    workshop.store.put_key("checkpoints/job_gone/1-1", tmp_path / "state")
    for path in (workshop.settings.data / "store").rglob("*"):
        os.utime(path, (time() - 7200,) * 2)
    return [Item("file", stored.digest, 11), Item("checkpoint", "checkpoints/job_gone/1-1", 5)]


def test_a_dry_run_tells_what_the_real_one_removes(workshop: Workshop, tmp_path: Path) -> None:
    items = left_behind(workshop, tmp_path)
    teacher = workshop.put(b"named")
    assert workshop.teacher(b"named")
    arguments = (workshop.database, workshop.store, workshop.settings)
    assert list(collect(*arguments, dry_run=True)) == items
    assert workshop.store.exists(items[0].name)
    assert list(collect(*arguments)) == items
    assert list(collect(*arguments)) == []
    assert not workshop.store.exists(items[0].name)
    assert workshop.store.exists(teacher.digest)


def test_the_leader_searches_the_store(workshop: Workshop, tmp_path: Path) -> None:
    items = left_behind(workshop, tmp_path)
    search(workshop.kit())
    assert not workshop.store.exists(items[0].name)
    assert [entry.key for entry in workshop.store.listed("checkpoints")] == []
