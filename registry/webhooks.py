"""Webhooks and their deliveries (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import audit, outbox, paging
from registry.access import Principal
from registry.access_tables import Delivery, Webhook
from registry.db import now
from registry.errors import AddressRefused, NotFound
from registry.ids import new_id
from registry.settings import Settings

_PREFIX = "whsec_"
_GONE = 410  # the receiver wants no more of them
_KEPT = timedelta(days=30)
_HELD = timedelta(minutes=1)  # who took a delivery and fell silent has it no longer
_PAUSES = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))


@dataclass(frozen=True)
class Parcel:
    """A delivery with what it takes to send it."""

    id: str
    webhook_id: str
    url: str
    secret: str
    payload: dict[str, Any]


def create(session: Session, principal: Principal, *, url: str, events: list[str], enabled: bool, settings: Settings) -> Webhook:
    """A webhook of the caller's owner, with a new secret. `AddressRefused` where the service sends nothing to such a URL."""
    judge(url, settings)
    webhook = Webhook(
        id=new_id("webhook"),
        owner=principal.owner,
        url=url,
        events=events,
        secret=_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
        enabled=enabled,
        created_at=now(session),
    )
    session.add(webhook)
    audit.note(session, principal.id, "webhook.created", webhook.id, url=url, events=events)
    session.flush()
    return webhook


def get(session: Session, webhook_id: str) -> Webhook:
    """The webhook of that id, or `NotFound`."""
    webhook = session.get(Webhook, webhook_id)
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return webhook


def page(session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[Webhook]:
    """Webhooks, newest first; of one owner, or of all."""
    return paging.page_of(session, paging.of_owner(select(Webhook), Webhook.owner, owner), Webhook.id, limit=limit, cursor=cursor)


def change(session: Session, webhook_id: str, changes: dict[str, Any], *, actor: str, settings: Settings) -> Webhook:
    """Sets url, events and enabled, those of them that are given."""
    webhook = get(session, webhook_id)
    if "url" in changes:
        judge(changes["url"], settings)
    for name, value in changes.items():
        setattr(webhook, name, value)
    audit.note(session, actor, "webhook.changed", webhook.id, **changes)
    session.flush()
    return webhook


def remove(session: Session, webhook_id: str, *, actor: str) -> None:
    """Deletes a webhook with its deliveries."""
    webhook = get(session, webhook_id)
    session.refresh(webhook, with_for_update=True)
    session.execute(delete(Delivery).where(Delivery.webhook_id == webhook_id))
    session.delete(webhook)
    audit.note(session, actor, "webhook.deleted", webhook_id, url=webhook.url)
    session.flush()


def ping(session: Session, webhook_id: str, *, actor: str) -> Delivery:
    """Queues a delivery that only says hello, whether the webhook is enabled or not."""
    row = outbox.ping(session, get(session, webhook_id))
    audit.note(session, actor, "webhook.pinged", webhook_id, delivery=row.id)
    session.flush()
    return row


def deliveries(session: Session, webhook_id: str, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Delivery]:
    """A webhook's deliveries, newest first."""
    get(session, webhook_id)
    mine = select(Delivery).where(Delivery.webhook_id == webhook_id)
    return paging.page_of(session, mine, Delivery.id, limit=limit, cursor=cursor)


def redeliver(session: Session, webhook_id: str, delivery_id: str, *, actor: str) -> Delivery:
    """Queues a delivery again, under the id that it has: receivers know by it what they had before."""
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.webhook_id == webhook_id).with_for_update()
    delivery = session.execute(query).scalar_one_or_none()
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    delivery.status, delivery.attempts, delivery.next_at, delivery.finished_at = outbox.PENDING, 0, now(session), None
    audit.note(session, actor, "webhook.redelivered", webhook_id, delivery=delivery_id)
    session.flush()
    return delivery


def take(session: Session, *, limit: int) -> list[Parcel]:
    """Some deliveries that are due, the oldest; nobody else gets them for a minute."""
    at = now(session)
    due = select(Delivery).where(Delivery.status == outbox.PENDING, Delivery.next_at <= at).order_by(Delivery.next_at)
    rows = session.execute(due.limit(limit).with_for_update(skip_locked=True)).scalars().all()
    parcels = []
    for row in rows:
        row.next_at = at + _HELD
        webhook = session.get_one(Webhook, row.webhook_id)
        parcels.append(Parcel(row.id, webhook.id, webhook.url, webhook.secret, row.payload))
    return parcels


def settle(session: Session, parcel: Parcel, *, code: int | None, error: str | None) -> None:
    """Notes how an attempt went: delivered, to be tried again after a pause that grows, or failed after the last."""
    row = session.get(Delivery, parcel.id, with_for_update=True)
    if row is None:  # the webhook was deleted meanwhile
        return
    at = now(session)
    row.attempts += 1
    row.code, row.error = code, error and error[:255]
    if code is not None and 200 <= code < 300:
        row.status, row.finished_at = outbox.DELIVERED, at
    elif code == _GONE or row.attempts > len(_PAUSES):
        row.status, row.finished_at = outbox.FAILED, at
    else:
        row.next_at = at + _PAUSES[row.attempts - 1]
    if code == _GONE:
        session.get_one(Webhook, parcel.webhook_id).enabled = False
        audit.note(session, "registry", "webhook.disabled", parcel.webhook_id, reason="410 Gone")


def prune(session: Session) -> None:
    """Forgets the deliveries that ended more than a month ago."""
    session.execute(delete(Delivery).where(Delivery.finished_at <= now(session) - _KEPT))


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def judge(url: str, settings: Settings) -> SplitResult:
    """The URL in parts; `AddressRefused` where nothing is sent to such a one. Names are resolved when something is sent."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused(f"{url!r} is no URL.", pointer="/url") from error
    schemes = {"https", "http"} if settings.webhooks_http else {"https"}
    if parts.scheme not in schemes or not host or parts.username is not None or not url.isascii() or not url.isprintable():
        raise AddressRefused(f"A webhook needs a URL of {' or '.join(sorted(schemes))} without a user.", pointer="/url")
    if not settings.webhooks_private and (host == "localhost" or _literal(host)):
        raise AddressRefused(f"{host} is not an address of the internet.", pointer="/url")
    return parts


def _literal(host: str) -> bool:
    try:
        return not public(host)
    except ValueError:
        return False


def public(address: str) -> bool:
    """Whether it is an address of the internet: not of this machine, a private network, a cloud's metadata, or a group."""
    found = ip_address(address.split("%", maxsplit=1)[0])
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (inner is None or inner.is_global)
