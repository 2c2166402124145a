"""What nobody names goes after a while, and what anybody names stays, whoever uploads meanwhile."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import time
from typing import Any

import pytest
from sqlalchemy import select

from registry import artifacts, claims, garbage, teachers
from registry.errors import FileMissing
from registry.garbage import Item
from registry.tables import Artifact, Dataset, Teacher

World = Any  # tests/registry/conftest.py
NOW, HOUR = timedelta(seconds=-1), timedelta(hours=1)  # a file's time may be a little ahead of the database's


def aged(world: World, content: bytes, seconds: float) -> str:
    """A file in the store that no row knows, of that age."""
    stored = world.put(content)
    path = world.store.local_path(stored.digest)
    os.utime(path, (time() - seconds,) * 2)
    return str(stored.digest)


def removed(world: World, items: list[Item], grace: timedelta = NOW) -> list[bool]:
    return [world.do(garbage.remove, world.store, item, grace=grace) for item in items]


def test_files_without_a_row_go_when_they_are_old_enough(world: World) -> None:
    old, young = aged(world, b"old", 7200), aged(world, b"young", 60)
    with world.database.read() as session:
        found = list(garbage.strays(session, world.store, grace=HOUR))
    assert found == [Item("file", old, 3)]
    assert removed(world, found, HOUR) == [True]
    assert (world.store.exists(old), world.store.exists(young)) == (False, True)
    with world.database.read() as session:
        assert session.execute(select(Artifact)).first() is None


def test_a_file_that_is_stored_again_meanwhile_is_young_again(world: World) -> None:
    digest = aged(world, b"bytes", 7200)
    with world.database.read() as session:
        found = list(garbage.strays(session, world.store, grace=HOUR))
    world.put(b"bytes")
    assert removed(world, found, HOUR) == [False]
    assert world.store.exists(digest)


def test_everything_that_a_row_names_stays(world: World) -> None:
    teacher, dataset = world.ready_teacher(), world.ready_dataset()
    model = world.finish(world.running(dataset={"id": dataset}))
    stray = world.put(b"stray")
    world.do(artifacts.record, world.store, stray)
    with world.database.read() as session:
        items = garbage.unnamed(session, grace=NOW)
        assert [item.name for item in items] == [stray.digest]
        assert garbage.unnamed(session, grace=HOUR) == []
        named = {session.get_one(Teacher, teacher).sha256, session.get_one(Dataset, dataset).packed_sha256}
        named |= {session.get_one(Dataset, dataset).sha256}
        assert model
    assert removed(world, [Item("file", digest, 1) for digest in named]) == [False] * 3
    assert removed(world, items) == [True]
    assert all(world.store.exists(digest) for digest in named)


def test_checkpoints_stay_with_their_job_and_go_without_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("state")
    running, waiting = world.running(), world.running()
    world.do(claims.checkpoint, waiting, f"checkpoints/{waiting.job_id}/1-2", 2)
    world.do(claims.give_back, waiting)
    names = [f"{running.job_id}/1-1", f"{running.job_id}/1-2", f"{waiting.job_id}/1-1", f"{waiting.job_id}/1-2", "job_gone/1-1"]
    for name in names:
        world.store.put_key(f"checkpoints/{name}", tmp_path / "state")
    with world.database.read() as session:
        assert list(garbage.checkpoints(session, world.store, grace=HOUR)) == []
        found = sorted(garbage.checkpoints(session, world.store, grace=NOW), key=lambda item: item.name)
    gone = sorted(f"checkpoints/{name}" for name in ("job_gone/1-1", f"{waiting.job_id}/1-1"))
    assert [(item.kind, item.name, item.size) for item in found] == [("checkpoint", name, 5) for name in gone]
    removed(world, found)
    assert {entry.key for entry in world.store.listed("checkpoints")} == {f"checkpoints/{name}" for name in names} - set(gone)


@pytest.mark.parametrize("known", [True, False])
def test_an_upload_of_the_same_bytes_is_whole_or_told_to_come_again(world: World, *, known: bool) -> None:
    """The collector without any grace against uploads: no row may name a file that is gone."""
    content, done, told = b"the same bytes", Flag(), []
    digest = hashlib.sha256(content).hexdigest()

    def collect() -> None:
        while not done.wait(0.005):  # SQLite lets nobody in between without a pause
            world.do(garbage.remove, world.store, Item("file", digest, len(content)), grace=NOW)

    def upload() -> str | None:
        stored = world.put(content)
        try:
            with world.database.write() as session:
                artifacts.record(session, world.store, stored)
                return teachers.create(session, world.principal, stored, filename="a.pth").id
        except FileMissing:
            return None

    def forget(teacher: str) -> None:
        with world.database.write() as session:
            session.delete(session.get_one(Teacher, teacher))
            if not known:
                session.delete(session.get_one(Artifact, digest))

    collector = Thread(target=collect)
    collector.start()
    try:
        for _ in range(40):
            teacher = upload()
            told.append(teacher is not None)
            if teacher is not None:
                assert world.store.exists(digest)
                forget(teacher)
    finally:
        done.set()
        collector.join()
    assert any(told)
