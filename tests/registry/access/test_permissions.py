"""Roles, scopes and owners."""

import pytest

from registry.access import ownership, permissions
from registry.access.permissions import Principal, Role
from registry.errors import NotFound, RoleTooLow, ScopeMissing

ORDER = [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN]


def test_each_role_includes_the_ones_before_it() -> None:
    for index, role in enumerate(ORDER):
        assert [role.at_least(minimum) for minimum in ORDER] == [
            position <= index for position in range(4)
        ]


def test_a_role_that_is_too_low_is_refused() -> None:
    permissions.check(Principal("key_1", "k", Role.SUBMITTER), Role.SUBMITTER, "jobs:write")
    with pytest.raises(RoleTooLow, match=r"role operator\. Your role is submitter"):
        permissions.check(Principal("key_1", "k", Role.SUBMITTER), Role.OPERATOR, None)


def test_scopes_restrict_a_key_that_has_any() -> None:
    principal = Principal("key_1", "k", Role.ADMIN, scopes=("jobs:read",))
    permissions.check(principal, Role.VIEWER, "jobs:read")
    permissions.check(principal, Role.VIEWER, None)
    with pytest.raises(ScopeMissing):
        permissions.check(principal, Role.VIEWER, "models:read")


def test_the_owner_defaults_to_the_id_and_operators_see_all_rows() -> None:
    assert Principal("key_1", "k", Role.VIEWER).visible_owner == "key_1"
    assert Principal("key_1", "k", Role.SUBMITTER, "team").visible_owner == "team"
    assert [Principal("key_1", "k", role, "team").visible_owner for role in ORDER[2:]] == [
        None,
        None,
    ]


def test_a_row_of_another_owner_appears_missing() -> None:
    ownership.check_visible("own", "own", "job job_1")
    ownership.check_visible("other", None, "job job_1")
    messages = set()
    for owner in ("other", None):
        with pytest.raises(NotFound) as caught:
            ownership.check_visible(owner, "own", "job job_1")
        messages.add(str(caught.value))
    assert messages == {"There is no job job_1."}
