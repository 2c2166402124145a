"""Principals and their permissions: roles, scopes and owners.

The settings import this module, so it must not import the database.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry.errors import RoleTooLow, ScopeMissing


class Role(StrEnum):
    """Roles in ascending order. Each role includes the permissions of the roles before it."""

    VIEWER = "viewer"  # reads the rows of its owner
    SUBMITTER = "submitter"  # also uploads files, and submits and controls its owner's jobs
    OPERATOR = "operator"  # also reads and controls the rows of all owners
    ADMIN = "admin"  # also manages API keys and quotas, and reads the audit log

    def at_least(self, minimum: "Role") -> bool:
        """Return whether the role includes the permissions of `minimum`."""
        order = list(Role)
        return order.index(self) >= order.index(minimum)


@dataclass(frozen=True)
class Principal:
    """The authenticated caller: an API key, or a user that the identity provider authenticated.

    Attributes:
        owner: Owner of the rows that the principal creates. All keys of a person or team may
            share one owner. Defaults to the principal's id.
        scopes: Scopes that the principal may use. If empty, it may use all that its role allows.
        last_used_at: Time when the key was last used, accurate to a minute.
        expires_at: Time when the credentials expire.
    """

    id: str
    name: str
    role: Role = Role.ADMIN
    owner: str = ""
    scopes: tuple[str, ...] = ()
    last_used_at: datetime | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.owner:
            object.__setattr__(self, "owner", self.id)

    @property
    def visible_owner(self) -> str | None:
        """The only owner whose rows the principal sees, or None if it sees all rows."""
        return None if self.role.at_least(Role.OPERATOR) else self.owner


def check(principal: Principal, minimum: Role, scope: str | None) -> None:
    """Verify that the principal has at least the minimum role and may use the scope.

    No scope is required if `scope` is None.

    Raises:
        RoleTooLow: The principal's role does not include the minimum.
        ScopeMissing: The principal is restricted to other scopes.
    """
    if not principal.role.at_least(minimum):
        raise RoleTooLow(
            f"This request requires the role {minimum}. Your role is {principal.role}."
        )
    if scope is not None and principal.scopes and scope not in principal.scopes:
        raise ScopeMissing(
            f"This request requires the scope {scope}. Your scopes are "
            f"{', '.join(principal.scopes)}."
        )
