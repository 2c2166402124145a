"""API keys: authentication, rotation and revocation."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from registry.access import api_keys
from registry.access.permissions import Role
from registry.db.access_tables import ApiKey, AuditEvent
from registry.errors import KeyExpired, KeyInactive, KeyRevoked, LastAdmin, Unauthenticated
from tests.registry.conftest import RegistryHarness


def test_a_new_key_authenticates_and_its_secret_is_not_stored(harness: RegistryHarness) -> None:
    row, key = harness.run(api_keys.create, name="ci", scopes=("submit",))
    with harness.database.read() as session:
        principal = api_keys.authenticate(session, key)
        stored = session.execute(text("SELECT * FROM api_keys")).one()
    assert (principal.id, principal.name, principal.scopes) == (row.id, "ci", ("submit",))
    secret = key.split("_", 2)[2]
    assert key.startswith(f"dlkd_{row.prefix}_")
    assert secret not in str(stored)


@pytest.mark.parametrize("token", ["", "dlkd_", "dlkd_00000000_x", "Bearer", "ü"])
def test_a_malformed_key_is_refused(harness: RegistryHarness, token: str) -> None:
    harness.create_key()
    with harness.database.read() as session, pytest.raises(Unauthenticated):
        api_keys.authenticate(session, token)


def test_a_key_with_the_secret_of_another_is_refused(harness: RegistryHarness) -> None:
    own, other = harness.create_key(), harness.create_key()
    forged = "_".join([*own.split("_", 2)[:2], other.split("_", 2)[2]])
    with harness.database.read() as session, pytest.raises(Unauthenticated):
        api_keys.authenticate(session, forged)


def test_an_expired_key_is_refused(harness: RegistryHarness) -> None:
    _, key = harness.run(
        api_keys.create, name="old", expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    with harness.database.read() as session, pytest.raises(KeyExpired):
        api_keys.authenticate(session, key)


def test_the_last_use_is_recorded_once_a_minute(harness: RegistryHarness) -> None:
    key = harness.create_key()
    with harness.database.read() as session:
        principal = api_keys.authenticate(session, key)
    assert api_keys.is_use_due(principal, datetime.now(UTC))
    harness.run(api_keys.record_use, principal)
    with harness.database.read() as session:
        principal = api_keys.authenticate(session, key)
        assert session.execute(select(ApiKey.last_used_at)).scalar_one().tzinfo is not None
    assert not api_keys.is_use_due(principal, datetime.now(UTC))
    assert api_keys.is_use_due(principal, datetime.now(UTC) + timedelta(minutes=2))


def test_any_exists_is_false_until_the_first_key(harness: RegistryHarness) -> None:
    assert harness.run(api_keys.any_exists) is False
    harness.create_key()
    assert harness.run(api_keys.any_exists) is True


def test_a_rotated_key_accepts_the_old_secret_for_the_grace_period(
    harness: RegistryHarness,
) -> None:
    row, old = harness.run(api_keys.create, name="ci")
    _, new = harness.run(api_keys.rotate, row.id, actor="key_admin", grace=timedelta(hours=1))
    with harness.database.read() as session:
        assert {api_keys.authenticate(session, key).id for key in (old, new)} == {row.id}
    _, newest = harness.run(api_keys.rotate, row.id, actor="key_admin", grace=timedelta())
    with harness.database.read() as session:
        assert api_keys.authenticate(session, newest).id == row.id
        for key in (old, new):
            with pytest.raises(Unauthenticated):
                api_keys.authenticate(session, key)


def test_a_revoked_key_is_refused_and_cannot_be_rotated(harness: RegistryHarness) -> None:
    harness.create_key()
    row, key = harness.run(api_keys.create, name="ci")
    harness.run(api_keys.revoke, row.id, actor="key_admin")
    harness.run(api_keys.revoke, row.id, actor="key_admin")
    with harness.database.read() as session, pytest.raises(KeyRevoked):
        api_keys.authenticate(session, key)
    with pytest.raises(KeyInactive):
        harness.run(api_keys.rotate, row.id, actor="key_admin", grace=timedelta())
    with harness.database.read() as session:
        actions = (
            session.execute(select(AuditEvent.action).where(AuditEvent.subject == row.id))
            .scalars()
            .all()
        )
    assert actions == ["key.created", "key.revoked"]


def test_the_only_admin_key_cannot_be_revoked(harness: RegistryHarness) -> None:
    admin, _ = harness.run(api_keys.create, name="admin")
    harness.run(api_keys.create, name="gone", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    harness.run(api_keys.create, name="less", role=Role.OPERATOR)
    with pytest.raises(LastAdmin):
        harness.run(api_keys.revoke, admin.id, actor=admin.id)


def test_one_admin_key_remains_if_admins_revoke_each_other_at_once(
    harness: RegistryHarness,
) -> None:
    rows = [harness.run(api_keys.create, name=f"admin {number}")[0] for number in range(4)]

    def revoke(key_id: str) -> bool:
        try:
            harness.run(api_keys.revoke, key_id, actor="key_admin")
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(revoke, [row.id for row in rows])) == [False, True, True, True]
