"""Who asks, and what that one may: roles, scopes, owners."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry.errors import NotFound, RoleTooLow, ScopeMissing


class Role(StrEnum):
    """From the least to the most; each may do what the one before may."""

    VIEWER = "viewer"  # sees what is its owner's
    SUBMITTER = "submitter"  # also uploads, submits, controls what is its owner's
    OPERATOR = "operator"  # sees and controls what is anybody's
    ADMIN = "admin"  # also keys, quotas and the audit log

    def reaches(self, least: "Role") -> bool:
        """Whether it is that role or a greater one."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True)
class Principal:
    """Who asks: a key, or somebody whom the issuer of tokens vouches for. `seen` is when the key was last used, to the minute.

    Rows belong to the `owner`, a name that several keys of a person or team may share; a key without one is its own.
    """

    id: str
    name: str
    role: Role = Role.ADMIN
    owner: str = ""
    scopes: tuple[str, ...] = ()
    seen: datetime | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.owner:
            object.__setattr__(self, "owner", self.id)

    @property
    def visible(self) -> str | None:
        """The only owner whose rows it sees; None: all rows."""
        return None if self.role.reaches(Role.OPERATOR) else self.owner


def check(principal: Principal, least: Role, scope: str | None) -> None:
    """Raises `RoleTooLow` or `ScopeMissing`. A key without scopes may do all that its role may; `scope` None: any key may."""
    if not principal.role.reaches(least):
        raise RoleTooLow(f"This needs the role {least}; yours is {principal.role}.")
    if scope is not None and principal.scopes and scope not in principal.scopes:
        raise ScopeMissing(f"This needs the scope {scope}; your key has {', '.join(principal.scopes)}.")


def see(owner: str | None, visible: str | None, what: str) -> None:
    """Raises the `NotFound` of a row that is not there, also where it is and belongs to another (`owner` None: there is none)."""
    if owner is None or (visible is not None and owner != visible):
        raise NotFound(f"There is no {what}.")
