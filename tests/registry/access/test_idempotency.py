"""Idempotency keys: a repeated request gets the stored response."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from registry.access import idempotency
from registry.access.permissions import Principal
from registry.db.access_tables import IdempotencyKey
from registry.db.database import now
from registry.errors import IdempotencyKeyReused
from tests.registry.conftest import RegistryHarness

RESPONSE = {"status": 201, "body": {"id": "job_1"}}


def send_request(
    harness: RegistryHarness, body: bytes = b"{}", principal_id: str = "key_1"
) -> dict[str, Any] | None:
    """Execute the request if it is new. Otherwise return the stored response."""
    principal = Principal(principal_id, principal_id)
    with harness.database.write() as session:
        stored: dict[str, Any] | None = idempotency.replay(session, principal, "abc", body)
        if stored is None:
            idempotency.save_response(session, principal, "abc", RESPONSE)
        return stored


def test_a_repeated_request_is_executed_once(harness: RegistryHarness) -> None:
    assert send_request(harness) is None
    assert send_request(harness) == RESPONSE


def test_a_different_request_with_the_same_key_is_refused(harness: RegistryHarness) -> None:
    send_request(harness)
    with pytest.raises(IdempotencyKeyReused) as refused:
        send_request(harness, b'{"other": 1}')
    assert refused.value.code == "idempotency_key_reused"


def test_keys_are_separate_for_each_principal(harness: RegistryHarness) -> None:
    send_request(harness)
    assert send_request(harness, principal_id="key_2") is None


class RequestFailed(Exception):
    """The error that a failing request raises."""


def reserve_key_and_fail(session: Session) -> None:
    idempotency.replay(session, Principal("key_test", "test"), "abc", b"{}")
    raise RequestFailed


def test_a_failed_request_can_be_repeated(harness: RegistryHarness) -> None:
    with pytest.raises(RequestFailed):
        harness.run(reserve_key_and_fail)
    assert harness.run(idempotency.replay, harness.principal, "abc", b"{}") is None


def test_concurrent_requests_are_executed_once(harness: RegistryHarness) -> None:
    barrier = Barrier(4)

    def send(_: int) -> dict[str, Any] | None:
        barrier.wait()
        return send_request(harness)

    with ThreadPoolExecutor(4) as threads:
        responses = list(threads.map(send, range(4)))
    assert (responses.count(None), responses.count(RESPONSE)) == (1, 3)


def test_a_key_can_be_used_again_after_it_has_expired(harness: RegistryHarness) -> None:
    send_request(harness)
    harness.run(
        lambda session: session.execute(update(IdempotencyKey).values(expires_at=now(session)))
    )
    assert send_request(harness, b"another body") is None
