"""Wire formats of API keys, sessions, the audit log and quotas."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from api.auth.permissions import list_scopes
from api.schemas.base import ResponseModel, check_choices, enum_items_schema
from dlkd_core.common import FrozenModel
from registry.access.permissions import Role

KeyName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
OwnerName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@|:-]*$", max_length=200)
]
MAX_LIMIT = 2**53  # largest integer that every JSON parser represents exactly
LimitValue = Annotated[int, Field(ge=0, le=MAX_LIMIT)]
_Scopes = Annotated[
    list[str], AfterValidator(lambda values: check_choices(values, list_scopes(), "scope"))
]


class KeyRequest(FrozenModel):
    """Properties of a new API key."""

    name: KeyName
    role: Role = Role.SUBMITTER
    owner: OwnerName | None = Field(
        None,
        description="Owner of the resources that the key can see and create. Several keys can "
        "share an owner. Defaults to a new owner for this key.",
    )
    scopes: _Scopes = Field(
        default_factory=list,
        description="Scopes such as `jobs:read`. An empty list allows everything that the role "
        "allows.",
        json_schema_extra=enum_items_schema(list_scopes()),
    )
    expires_at: AwareDatetime | None = Field(
        None, description="Expiry time of the key. If null, it never expires."
    )


class RotateKeyRequest(FrozenModel):
    """Options for rotating an API key."""

    grace_seconds: int = Field(
        86_400,
        ge=0,
        le=90 * 86_400,
        description="Seconds for which the previous secret stays valid.",
    )


class KeyOut(ResponseModel):
    """An API key without its secret."""

    id: str
    name: str
    role: Role
    owner: str
    scopes: list[str]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(
        description="Time of the last request with this key, accurate to the minute."
    )
    old_until: datetime | None = Field(
        description="Time until which the previous secret stays valid."
    )


class NewKeyOut(KeyOut):
    """An API key with its secret, which is returned only once."""

    key: str | None = Field(
        description="The API key, including its secret. Null if the request is repeated with "
        "the same Idempotency-Key, because secrets are not stored."
    )


class CallerOut(ResponseModel):
    """The authenticated caller of the request."""

    id: str
    name: str
    role: Role
    owner: str
    scopes: list[str]
    expires_at: datetime | None


class SessionOut(ResponseModel):
    """A signed-in browser session."""

    me: CallerOut
    csrf_token: str = Field(
        description="Value to send in the X-CSRF-Token header. Required for all methods except "
        "GET, HEAD and OPTIONS."
    )
    expires_at: datetime


class AuditEventOut(ResponseModel):
    """An entry in the audit log."""

    id: int
    at: datetime
    actor: str = Field(
        description="Id of the API key, user or worker that acted, or the name of a service "
        "component."
    )
    role: Role | None
    owner: str | None = Field(description="Owner to which the actor belongs.")
    action: str
    subject: str = Field(description="Id or name of the resource that was acted on.")
    address: str | None = Field(description="IP address of the client.")
    request_id: str | None
    data: dict[str, Any]


class QuotaLimits(FrozenModel):
    """Quotas to set for one owner. For limits that are null or omitted, the default applies."""

    queued_jobs: LimitValue | None = None
    running_jobs: LimitValue | None = None
    stored_bytes: LimitValue | None = None
    device_seconds: LimitValue | None = Field(
        None, description="Seconds of device time per calendar month (UTC)."
    )


class LimitUsageOut(ResponseModel):
    """A limit and how much of it is used."""

    used: float
    limit: int | None = Field(description="Maximum usage. Null if unlimited.")


class UsageOut(ResponseModel):
    """Usage and limits of one owner."""

    owner: str
    queued_jobs: LimitUsageOut
    running_jobs: LimitUsageOut
    stored_bytes: LimitUsageOut
    device_seconds: LimitUsageOut = Field(
        description="Seconds of device time in the current calendar month (UTC)."
    )


class QuotaLimitsOut(ResponseModel):
    """Quotas that are set for one owner. For limits that are null, the default applies."""

    queued_jobs: int | None
    running_jobs: int | None
    stored_bytes: int | None
    device_seconds: int | None


class QuotaOut(UsageOut):
    """Usage and limits of one owner, and the quotas that are set for the owner."""

    own: QuotaLimitsOut = Field(description="Quotas set for this owner.")
