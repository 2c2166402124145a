"""Requests that are sent twice."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from registry import idempotency
from registry.db import now
from registry.errors import IdempotencyKeyReused
from registry.keys import Principal
from registry.tables import IdempotencyKey

World = Any  # tests/registry/conftest.py
ANSWER = {"status": 201, "body": {"id": "job_1"}}


def request(world: World, body: bytes = b"{}", who: str = "key_1") -> dict[str, Any] | None:
    """Does the work where it was not done yet; returns the old answer where it was."""
    principal = Principal(who, who)
    with world.database.write() as session:
        known: dict[str, Any] | None = idempotency.replay(session, principal, "abc", body)
        if known is None:
            idempotency.remember(session, principal, "abc", ANSWER)
        return known


def test_the_same_request_is_done_once_and_answered_twice(world: World) -> None:
    assert request(world) is None
    assert request(world) == ANSWER


def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    request(world)
    with pytest.raises(IdempotencyKeyReused) as refused:
        request(world, b'{"other": 1}')
    assert refused.value.code == "idempotency_key_reused"


def test_keys_of_others_do_not_matter(world: World) -> None:
    request(world)
    assert request(world, who="key_2") is None


class UnfitForTest(Exception):
    """What the request was refused with."""


def take_and_fail(session: Session) -> None:
    idempotency.replay(session, Principal("key_test", "test"), "abc", b"{}")
    raise UnfitForTest


def test_a_request_that_failed_may_be_sent_again(world: World) -> None:
    with pytest.raises(UnfitForTest):
        world.do(take_and_fail)
    assert world.do(idempotency.replay, world.principal, "abc", b"{}") is None


def test_of_requests_at_the_same_time_one_is_done(world: World) -> None:
    together = Barrier(4)

    def send(_: int) -> dict[str, Any] | None:
        together.wait()
        return request(world)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert (answers.count(None), answers.count(ANSWER)) == (1, 3)


def test_answers_are_forgotten_after_a_day(world: World) -> None:
    request(world)
    world.do(lambda session: session.execute(update(IdempotencyKey).values(expires_at=now(session))))
    assert request(world, b"another body") is None
