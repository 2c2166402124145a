"""API keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from registry import keys
from registry.errors import KeyExpired, Unauthenticated
from registry.tables import ApiKey

World = Any  # tests/registry/conftest.py


def test_a_key_opens_once_made_and_is_not_kept(world: World) -> None:
    row, key = world.do(keys.create, name="ci", scopes=("submit",))
    with world.database.read() as session:
        principal = keys.authenticate(session, key)
        stored = session.execute(text("SELECT * FROM api_keys")).one()
    assert (principal.id, principal.name, principal.scopes) == (row.id, "ci", ("submit",))
    secret = key.split("_", 2)[2]
    assert key.startswith(f"dlkd_{row.prefix}_")
    assert secret not in str(stored)


@pytest.mark.parametrize("token", ["", "dlkd_", "dlkd_00000000_x", "Bearer", "ü"])
def test_what_is_no_key_opens_nothing(world: World, token: str) -> None:
    world.key()
    with world.database.read() as session, pytest.raises(Unauthenticated):
        keys.authenticate(session, token)


def test_a_key_with_another_secret_opens_nothing(world: World) -> None:
    mine, other = world.key(), world.key()
    forged = "_".join([*mine.split("_", 2)[:2], other.split("_", 2)[2]])
    with world.database.read() as session, pytest.raises(Unauthenticated):
        keys.authenticate(session, forged)


def test_a_key_expires(world: World) -> None:
    _, key = world.do(keys.create, name="old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with world.database.read() as session, pytest.raises(KeyExpired):
        keys.authenticate(session, key)


def test_the_last_use_is_noted_to_the_minute(world: World) -> None:
    key = world.key()
    with world.database.read() as session:
        principal = keys.authenticate(session, key)
    assert keys.due(principal, datetime.now(UTC))
    world.do(keys.touch, principal)
    with world.database.read() as session:
        principal = keys.authenticate(session, key)
        assert session.execute(select(ApiKey.last_used_at)).scalar_one().tzinfo is not None
    assert not keys.due(principal, datetime.now(UTC))
    assert keys.due(principal, datetime.now(UTC) + timedelta(minutes=2))


def test_a_service_without_keys_knows_it(world: World) -> None:
    assert world.do(keys.any_exists) is False
    world.key()
    assert world.do(keys.any_exists) is True
