"""The wire formats of access: keys, the audit log, limits, webhooks."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints, field_validator
from pydantic.config import JsonDict

from api.access import scopes
from api.schemas import Out
from dlkd_core.frozen import Frozen
from registry.access import Role
from registry.outbox import EVENTS

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Owner = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@|:-]*$", max_length=200)]
MAX_COUNT = 2**53  # what every JSON reader holds exactly
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]


def _one_of(words: Collection[str]) -> JsonDict:
    """Tells clients what there is to pick from; the validator has the better words for what is not."""
    return {"items": {"type": "string", "enum": [*sorted(words)]}}


def _known(given: list[str], known: set[str], what: str) -> list[str]:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"there is no {what} {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return sorted(set(given))


class KeyForm(Frozen):
    """A key to make."""

    name: Name
    role: Role = Role.SUBMITTER
    owner: Owner | None = Field(None, description="Whose rows it sees and makes, shared by several keys; null: its own")
    scopes: list[str] = Field(
        default_factory=list,
        description="jobs:read and the like; none: all that the role may",
        json_schema_extra=_one_of(scopes()),
    )
    expires_at: AwareDatetime | None = None

    @field_validator("scopes")
    @classmethod
    def _of_ours(cls, given: list[str]) -> list[str]:
        return _known(given, scopes(), "scope")


class RotateForm(Frozen):
    """How to rotate a key."""

    grace_seconds: int = Field(86_400, ge=0, le=90 * 86_400, description="The secret of before is good for so long")


class KeyOut(Out):
    """A key without its secret."""

    id: str
    name: str
    role: Role
    owner: str
    scopes: list[str]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")
    old_until: datetime | None = Field(description="Until when the secret of before the rotation is good")


class NewKeyOut(KeyOut):
    """A key with its secret, which is shown this once."""

    key: str | None = Field(description="Null where the same Idempotency-Key was answered before: it is not kept")


class MeOut(Out):
    """Who asks, as the service sees it."""

    id: str
    name: str
    role: Role
    owner: str
    scopes: list[str]
    expires_at: datetime | None


class SessionOut(Out):
    """A browser that is signed in."""

    me: MeOut
    csrf_token: str = Field(description="The header X-CSRF-Token of every request that changes something")
    expires_at: datetime


class AuditOut(Out):
    """Something that was done."""

    id: int
    at: datetime
    actor: str = Field(description="A key, somebody of the issuer, a worker, or a part of the service")
    role: Role | None
    owner: str | None = Field(description="Of the actor")
    action: str
    subject: str
    address: str | None
    request_id: str | None
    data: dict[str, Any]


class AuditQuery(Frozen):
    """Which entries of the audit log: those that meet all of the filters."""

    limit: int = Field(50, ge=1, description="At most so many; more than 200 means 200")
    cursor: str | None = Field(None, description="The next_cursor of the page before")
    actor: str | None = None
    owner: str | None = None
    action: str | None = None
    subject: str | None = None
    request_id: str | None = None
    after: AwareDatetime | None = None
    before: AwareDatetime | None = None


class Limits(Frozen):
    """An owner's own limits; null or left out: the service's default."""

    queued_jobs: Count | None = None
    running_jobs: Count | None = None
    stored_bytes: Count | None = None
    device_seconds: Count | None = Field(None, description="In a calendar month (UTC)")


class UseOut(Out):
    """A limit and what is used of it."""

    used: float
    limit: int | None = Field(description="Null: none")


class UsageOut(Out):
    """What an owner uses."""

    owner: str
    queued_jobs: UseOut
    running_jobs: UseOut
    stored_bytes: UseOut
    device_seconds: UseOut = Field(description="In this calendar month (UTC)")


class LimitsOut(Out):
    """An owner's own limits; null: the service's default."""

    queued_jobs: int | None
    running_jobs: int | None
    stored_bytes: int | None
    device_seconds: int | None


class QuotaOut(UsageOut):
    """The same, and which of the limits are the owner's own."""

    own: LimitsOut


def _events(given: list[str]) -> list[str]:
    return _known(given, set(EVENTS), "event")


class WebhookForm(Frozen):
    """Whom to tell of what."""

    url: str = Field(max_length=2000)
    events: list[str] = Field(min_length=1, json_schema_extra=_one_of(EVENTS))
    enabled: bool = True

    _ours = field_validator("events")(_events)


class WebhookPatch(Frozen):
    """What may be changed about a webhook; what is left out stays."""

    url: str | None = Field(None, max_length=2000)
    events: list[str] | None = Field(None, min_length=1, description="As of a new webhook")
    enabled: bool | None = None

    @field_validator("events")
    @classmethod
    def _of_ours(cls, given: list[str] | None) -> list[str] | None:
        return None if given is None else _events(given)


class WebhookOut(Out):
    """A webhook without its secret."""

    id: str
    owner: str
    url: str
    events: list[str]
    enabled: bool
    created_at: datetime


class NewWebhookOut(WebhookOut):
    """A webhook with the secret that signs, which is shown this once."""

    secret: str | None = Field(description="Null where the same Idempotency-Key was answered before")


class DeliveryOut(Out):
    """One event for one webhook."""

    id: str = Field(description="The header webhook-id")
    webhook_id: str
    type: str
    payload: dict[str, Any]
    status: str = Field(description="pending, delivered or failed")
    attempts: int
    next_at: datetime | None = Field(description="Of one that is pending: not before")
    code: int | None = Field(description="The last answer's status")
    error: str | None = Field(description="Why there was no answer")
    created_at: datetime
    finished_at: datetime | None
