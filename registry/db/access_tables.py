"""Tables for access control: API keys, browser sessions, audit log, quotas and secrets."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.access import request_context
from registry.db.base import AutoId, Base
from registry.db.column_types import PlainText


class ApiKey(Base):
    """An API key. Only the hash of its secret is stored.

    After a rotation, the previous secret remains valid until `old_until`.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(16), server_default="viewer")
    owner: Mapped[str] = mapped_column(index=True, server_default="")
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    hash: Mapped[str] = mapped_column(String(64))
    old_hash: Mapped[str | None] = mapped_column(String(64))
    old_until: Mapped[datetime | None]
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A signed-in browser, identified by the hash of its cookie.

    `key_id` is the key that was used to sign in, or null if the identity provider authenticated
    the user.
    """

    __tablename__ = "sign_ins"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"), index=True)
    principal: Mapped[str]
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEvent(Base):
    """An entry in the audit log. It records who did what to which object.

    Entries written during a request also hold the caller's role, owner and address, and the
    request's id.
    """

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(AutoId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(index=True)
    data: Mapped[dict[str, Any]]
    role: Mapped[str | None] = mapped_column(
        String(16), default=lambda: request_context.get_context().role
    )
    owner: Mapped[str | None] = mapped_column(default=lambda: request_context.get_context().owner)
    address: Mapped[str | None] = mapped_column(
        PlainText(64), default=lambda: request_context.get_context().address
    )
    request_id: Mapped[str | None] = mapped_column(
        String(64), default=lambda: request_context.get_context().request_id
    )


class IdempotencyKey(Base):
    """The response to a request with an ``Idempotency-Key``, kept for repeated requests."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    response: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Quota(Base):
    """Limits set for one owner. If a limit is null, the service's default applies.

    The row is also locked while the owner's usage is counted.
    """

    __tablename__ = "quotas"

    owner: Mapped[str] = mapped_column(primary_key=True)
    queued_jobs: Mapped[int | None]
    running_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None]
    device_seconds: Mapped[int | None]


class DeviceUsage(Base):
    """Device seconds used by one owner's attempts, counted in the month in which they ended.

    The row is kept when the jobs are deleted.
    """

    __tablename__ = "device_use"

    owner: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    seconds: Mapped[float]


class Secret(Base):
    """A secret that all processes of the service share, such as the key that signs file URLs."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str]
