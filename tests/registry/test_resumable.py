"""Rows of uploads in several requests, on both databases: one writer at a time, and only what its holder says counts."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from registry import artifacts, quotas, resumable
from registry.access import Principal
from registry.errors import NotFound, QuotaExceeded
from registry.quotas import Limits
from registry.resumable import Held, Told
from registry.tables import Upload
from registry.upload_errors import OffsetDiffers, UploadLocked, UploadUnfinished, UploadUnknown
from tests.registry.conftest import World

DAY = timedelta(days=1)
PAST = timedelta(seconds=-1)


def begun(world: World, size: int = 10, kept: timedelta = DAY) -> str:
    return str(world.do(resumable.create, world.principal, Told(size), kept=kept).id)


def row(world: World, upload_id: str) -> Upload:
    with world.database.read() as session:
        return session.get_one(Upload, upload_id)


def fallen_silent(world: World, held: Held) -> None:
    """The hold has run out by the database's clock."""
    with world.database.write() as session:
        at = resumable.now(session) + PAST
        session.execute(update(Upload).where(Upload.id == held.id).values(held_until=at))


def test_only_one_request_writes(world: World) -> None:
    upload = begun(world)
    first = world.do(resumable.take, upload, offset=0)
    with pytest.raises(UploadLocked):
        world.do(resumable.take, upload, offset=0)
    world.do(resumable.keep, first, 4)
    world.do(resumable.release, first, kept=DAY)
    assert world.do(resumable.take, upload, offset=4).received == 4


def test_of_requests_that_come_together_one_gets_hold(world: World) -> None:
    upload, together, got = begun(world), Barrier(4), []

    def request() -> None:
        together.wait()
        try:
            got.append(world.do(resumable.take, upload, offset=0))
        except UploadLocked:
            got.append(None)

    threads = [Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held is not None for held in got) == [False, False, False, True]


def test_another_offset_is_refused_and_nobody_holds_it_then(world: World) -> None:
    upload = begun(world)
    with pytest.raises(OffsetDiffers) as caught:
        world.do(resumable.take, upload, offset=3)
    assert caught.value.received == 0
    assert row(world, upload).holder is None


def test_who_fell_silent_may_say_nothing_once_another_has_taken_over(world: World) -> None:
    upload = begun(world)
    silent = world.do(resumable.take, upload)
    fallen_silent(world, silent)
    world.do(resumable.keep, silent, 2)  # late, but nobody came
    fallen_silent(world, silent)
    second = world.do(resumable.take, upload, offset=2)
    with pytest.raises(UploadLocked):
        world.do(resumable.keep, silent, 9)
    with pytest.raises(UploadLocked):
        world.do(resumable.remove, silent, actor="key_1", why="terminated")
    world.do(resumable.release, silent, kept=DAY)
    assert (row(world, upload).received, row(world, upload).holder) == (2, second.holder)


def test_what_is_over_is_not_there_and_is_forgotten_unless_it_is_held(world: World) -> None:
    over, alive = begun(world, kept=PAST), begun(world)
    with pytest.raises(NotFound):
        world.do(resumable.take, over)
    held = world.do(resumable.take, alive)
    with world.database.write() as session:
        session.execute(update(Upload).where(Upload.id == alive).values(expires_at=resumable.now(session) + PAST))
    assert world.do(resumable.expired) == [over]
    assert [world.do(resumable.expire, one) for one in (over, alive, over)] == [True, False, False]
    world.do(resumable.release, held, kept=DAY)
    assert world.do(resumable.expired) == []


def finished(world: World, content: bytes) -> str:
    upload, stored = begun(world, len(content)), world.put(content)
    held = world.do(resumable.take, upload)
    with world.database.write() as session:
        artifacts.record(session, world.store, stored)
        resumable.finish(session, held, stored, actor="key_1")
    world.do(resumable.release, held, kept=DAY)
    return upload


def test_a_finished_upload_can_be_named_by_its_owner(world: World) -> None:
    upload, half = finished(world, b"content"), begun(world)
    assert world.do(resumable.finished, upload, visible=world.principal.owner).size == 7
    assert world.do(resumable.finished, upload, visible=None).size == 7
    for name, visible, error in (
        (upload, "other", UploadUnknown),
        ("upload_0", None, UploadUnknown),
        (half, None, UploadUnfinished),
    ):
        with pytest.raises(error) as caught:
            world.do(resumable.finished, name, visible=visible)
        assert caught.value.pointer == "/upload_id"


def test_its_file_is_kept_as_long_as_the_upload_is(world: World) -> None:
    upload = finished(world, b"content")
    digest = str(row(world, upload).digest)
    assert not world.do(artifacts.forget, world.store, digest)
    with world.database.write() as session:
        session.execute(update(Upload).where(Upload.id == upload).values(expires_at=resumable.now(session) + PAST))
    assert world.do(resumable.expire, upload)
    assert world.do(artifacts.forget, world.store, digest)


def created_within(session: Session, principal: Principal, size: int, limits: Limits) -> None:
    resumable.create(session, principal, Told(size), kept=DAY)
    quotas.check_bytes(session, principal.owner, limits)


def used_bytes(world: World) -> Any:
    with world.database.read() as session:
        return quotas.usage(session, world.principal.owner, Limits()).stored_bytes.used


def test_an_upload_takes_its_place_when_it_begins_and_gives_it_to_what_is_made_of_it(world: World) -> None:
    upload = begun(world, 60)
    assert used_bytes(world) == 60
    with pytest.raises(QuotaExceeded):
        world.do(created_within, world.principal, 50, Limits(stored_bytes=100))
    assert used_bytes(world) == 60
    world.do(resumable.use, upload)
    assert used_bytes(world) == 0
