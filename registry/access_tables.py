"""The tables of access: keys, limits, what was done by whom, and who is told of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from registry import origin
from registry.base import AutoId, Base
from registry.db import PlainText


class ApiKey(Base):
    """A key's hash; the key itself is shown once and not kept. After a rotation the old secret is good until `old_until`."""

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


class SignIn(Base):
    """A browser that is signed in: its cookie's hash, and by which key. Without one: whom the issuer of tokens vouched for."""

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
    """Who did what to what. What came through the API also says in which role, from where, and in which request."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(AutoId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(index=True)
    data: Mapped[dict[str, Any]]
    role: Mapped[str | None] = mapped_column(String(16), default=lambda: origin.now().role)
    owner: Mapped[str | None] = mapped_column(default=lambda: origin.now().owner)
    address: Mapped[str | None] = mapped_column(PlainText(64), default=lambda: origin.now().address)
    request_id: Mapped[str | None] = mapped_column(String(64), default=lambda: origin.now().request_id)


class Quota(Base):
    """An owner's own limits; null: the service's default. The row is also the lock under which the limits are counted."""

    __tablename__ = "quotas"

    owner: Mapped[str] = mapped_column(primary_key=True)
    queued_jobs: Mapped[int | None]
    running_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None]
    device_seconds: Mapped[int | None]


class DeviceUse(Base):
    """What an owner's ended attempts took in a month, which stays when their jobs are deleted."""

    __tablename__ = "device_use"

    owner: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    seconds: Mapped[float]


class Webhook(Base):
    """Who wants to be told of an owner's events. The secret signs, so it is kept as it is."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    url: Mapped[str] = mapped_column(PlainText(2000))
    events: Mapped[list[Any]]
    secret: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(server_default=true())
    created_at: Mapped[datetime]


class Delivery(Base):
    """One event for one webhook: written with the event, sent by the dispatcher until the receiver takes it."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_due", "status", "next_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id"), index=True)
    type: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    next_at: Mapped[datetime]
    code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]
