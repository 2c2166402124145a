"""Tables of webhooks and their deliveries."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from registry.db.base import Base
from registry.db.column_types import PlainText


class Webhook(Base):
    """A subscription to an owner's events.

    The secret is stored in plain text, because deliveries are signed with it.
    """

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    url: Mapped[str] = mapped_column(PlainText(2000))
    events: Mapped[list[Any]]
    secret: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(server_default=true())
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """The delivery of an event to a webhook.

    The row is written in the event's transaction. The delivery is retried until the receiver
    accepts it or the retries are used up.
    """

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
