"""Webhook deliveries: claiming, recording of results, signing and redelivery.

Signatures and retries follow https://www.standardwebhooks.com.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.db import pagination
from registry.db.database import lock_row, now, require_row
from registry.db.webhook_tables import Webhook, WebhookDelivery
from registry.webhooks import subscriptions
from registry.webhooks.outbox import DeliveryStatus

_HTTP_GONE = 410  # with this status, a receiver asks for no more deliveries
_MAX_ERROR_LENGTH = 255  # size of the column
_RETENTION = timedelta(days=30)
_CLAIM_DURATION = timedelta(minutes=1)  # afterwards, another sender can take over the delivery
_RETRY_DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)


@dataclass(frozen=True)
class PendingDelivery:
    """A delivery with everything needed to send it."""

    id: str
    webhook_id: str
    url: str
    secret: str
    payload: dict[str, Any]


def list_deliveries(
    session: Session, webhook_id: str, *, limit: int = 50, cursor: str | None = None
) -> pagination.Page[WebhookDelivery]:
    """List a webhook's deliveries, newest first."""
    subscriptions.get(session, webhook_id)
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return pagination.paginate(session, query, WebhookDelivery.id, limit=limit, cursor=cursor)


def redeliver(
    session: Session, webhook_id: str, delivery_id: str, *, actor: str
) -> WebhookDelivery:
    """Queue a delivery again. It keeps its id, by which receivers recognize duplicates."""
    query = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id
    )
    delivery = require_row(lock_row(session, query), f"delivery {delivery_id}")
    delivery.status = DeliveryStatus.PENDING
    delivery.attempts = 0
    delivery.next_at = now(session)
    delivery.finished_at = None
    audit.record_event(session, actor, "webhook.redelivered", webhook_id, delivery=delivery_id)
    session.flush()
    return delivery


def claim_due(session: Session, *, limit: int) -> list[PendingDelivery]:
    """Claim the oldest due deliveries for one minute, so that no other sender gets them."""
    at = now(session)
    due = (
        select(WebhookDelivery)
        .where(WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_at <= at)
        .order_by(WebhookDelivery.next_at)
    )
    rows = session.execute(due.limit(limit).with_for_update(skip_locked=True)).scalars().all()
    claimed = []
    for row in rows:
        row.next_at = at + _CLAIM_DURATION
        webhook = session.get_one(Webhook, row.webhook_id)
        claimed.append(
            PendingDelivery(row.id, webhook.id, webhook.url, webhook.secret, row.payload)
        )
    return claimed


def record_result(
    session: Session, delivery: PendingDelivery, *, code: int | None, error: str | None
) -> None:
    """Record the result of an attempt to send a delivery.

    After a failure, schedule a retry with a growing delay, or give up after the last retry. If the
    receiver responds with 410 Gone, its webhook is disabled.
    """
    row = session.get(WebhookDelivery, delivery.id, with_for_update=True)
    if row is None:  # the webhook was deleted in the meantime
        return
    at = now(session)
    row.attempts += 1
    row.code, row.error = code, error and error[:_MAX_ERROR_LENGTH]
    if code is not None and 200 <= code < 300:
        row.status, row.finished_at = DeliveryStatus.DELIVERED, at
    elif code == _HTTP_GONE or row.attempts > len(_RETRY_DELAYS):
        row.status, row.finished_at = DeliveryStatus.FAILED, at
    else:
        row.next_at = at + _RETRY_DELAYS[row.attempts - 1]
    if code == _HTTP_GONE:
        session.get_one(Webhook, delivery.webhook_id).enabled = False
        audit.record_event(
            session, "registry", "webhook.disabled", delivery.webhook_id, reason="410 Gone"
        )


def prune(session: Session) -> None:
    """Delete the deliveries that finished more than 30 days ago."""
    session.execute(
        delete(WebhookDelivery).where(WebhookDelivery.finished_at <= now(session) - _RETENTION)
    )


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the `webhook-signature` header."""
    key = base64.b64decode(secret.removeprefix(subscriptions.SECRET_PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
