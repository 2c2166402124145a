"""API keys."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from registry import keys
from registry.access import Role
from registry.errors import KeyEnded, KeyExpired, KeyRevoked, LastAdmin, Unauthenticated
from registry.tables import ApiKey, AuditEvent

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


def test_a_rotated_key_has_a_new_secret_and_the_old_one_for_a_while(world: World) -> None:
    row, old = world.do(keys.create, name="ci")
    _, new = world.do(keys.rotate, row.id, actor="key_admin", grace=timedelta(hours=1))
    with world.database.read() as session:
        assert {keys.authenticate(session, key).id for key in (old, new)} == {row.id}
    _, newest = world.do(keys.rotate, row.id, actor="key_admin", grace=timedelta())
    with world.database.read() as session:
        assert keys.authenticate(session, newest).id == row.id
        for key in (old, new):
            with pytest.raises(Unauthenticated):
                keys.authenticate(session, key)


def test_a_revoked_key_opens_nothing_and_is_not_rotated(world: World) -> None:
    world.key()
    row, key = world.do(keys.create, name="ci")
    world.do(keys.revoke, row.id, actor="key_admin")
    world.do(keys.revoke, row.id, actor="key_admin")
    with world.database.read() as session, pytest.raises(KeyRevoked):
        keys.authenticate(session, key)
    with pytest.raises(KeyEnded):
        world.do(keys.rotate, row.id, actor="key_admin", grace=timedelta())
    with world.database.read() as session:
        actions = session.execute(select(AuditEvent.action).where(AuditEvent.subject == row.id)).scalars().all()
    assert actions == ["key.created", "key.revoked"]


def test_the_only_key_of_an_admin_stays(world: World) -> None:
    admin, _ = world.do(keys.create, name="admin")
    world.do(keys.create, name="gone", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    world.do(keys.create, name="less", role=Role.OPERATOR)
    with pytest.raises(LastAdmin):
        world.do(keys.revoke, admin.id, actor=admin.id)


def test_of_admins_who_revoke_each_other_at_once_one_stays(world: World) -> None:
    rows = [world.do(keys.create, name=f"admin {number}")[0] for number in range(4)]

    def revoke(key_id: str) -> bool:
        try:
            world.do(keys.revoke, key_id, actor="key_admin")
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(revoke, [row.id for row in rows])) == [False, True, True, True]
