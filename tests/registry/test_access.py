"""Roles, scopes and owners."""

import pytest

from registry import access
from registry.access import Principal, Role
from registry.errors import NotFound, RoleTooLow, ScopeMissing

ORDER = [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN]


def test_each_role_may_what_the_one_before_may() -> None:
    for index, role in enumerate(ORDER):
        assert [role.reaches(least) for least in ORDER] == [position <= index for position in range(4)]


def test_a_role_that_is_too_low_is_refused_by_name() -> None:
    access.check(Principal("key_1", "k", Role.SUBMITTER), Role.SUBMITTER, "jobs:write")
    with pytest.raises(RoleTooLow, match="role operator; yours is submitter"):
        access.check(Principal("key_1", "k", Role.SUBMITTER), Role.OPERATOR, None)


def test_scopes_are_asked_where_a_key_has_any() -> None:
    narrow = Principal("key_1", "k", Role.ADMIN, scopes=("jobs:read",))
    access.check(narrow, Role.VIEWER, "jobs:read")
    access.check(narrow, Role.VIEWER, None)
    with pytest.raises(ScopeMissing):
        access.check(narrow, Role.VIEWER, "models:read")


def test_who_has_no_owner_is_one_and_only_operators_see_all() -> None:
    assert Principal("key_1", "k", Role.VIEWER).visible == "key_1"
    assert Principal("key_1", "k", Role.SUBMITTER, "team").visible == "team"
    assert [Principal("key_1", "k", role, "team").visible for role in ORDER[2:]] == [None, None]


def test_a_foreign_row_is_not_there() -> None:
    access.see("mine", "mine", "job job_1")
    access.see("theirs", None, "job job_1")
    words = set()
    for owner in ("theirs", None):
        with pytest.raises(NotFound) as caught:
            access.see(owner, "mine", "job job_1")
        words.add(str(caught.value))
    assert words == {"There is no job job_1."}
