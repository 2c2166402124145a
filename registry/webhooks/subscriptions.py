"""Webhooks registered by owners, and the validation of their URLs."""

import base64
import secrets
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.access.address_checks import is_private_literal
from registry.access.permissions import Principal
from registry.db import pagination
from registry.db.database import filter_equal, now, require_row
from registry.db.ids import new_id
from registry.db.webhook_tables import Webhook, WebhookDelivery
from registry.errors import AddressRefused
from registry.settings import Settings
from registry.webhooks import outbox

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public


def create(
    session: Session,
    principal: Principal,
    *,
    url: str,
    events: list[str],
    enabled: bool,
    settings: Settings,
) -> Webhook:
    """Create a webhook for the principal's owner, with a new secret.

    Raises:
        AddressRefused: The settings do not allow webhooks to this URL.
    """
    check_url(url, settings)
    webhook = Webhook(
        id=new_id("webhook"),
        owner=principal.owner,
        url=url,
        events=events,
        secret=SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
        enabled=enabled,
        created_at=now(session),
    )
    session.add(webhook)
    audit.record_event(session, principal.id, "webhook.created", webhook.id, url=url, events=events)
    session.flush()
    return webhook


def get(session: Session, webhook_id: str) -> Webhook:
    """Return a webhook.

    Raises:
        NotFound: There is no webhook with that id.
    """
    return require_row(session.get(Webhook, webhook_id), f"webhook {webhook_id}")


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[Webhook]:
    """Return a page of webhooks, newest first. If `owner` is None, include all owners."""
    return pagination.paginate(
        session,
        filter_equal(select(Webhook), (Webhook.owner, owner)),
        Webhook.id,
        limit=limit,
        cursor=cursor,
    )


def update_webhook(
    session: Session, webhook_id: str, changes: dict[str, Any], *, actor: str, settings: Settings
) -> Webhook:
    """Change a webhook. `changes` may contain url, events and enabled."""
    webhook = get(session, webhook_id)
    if "url" in changes:
        check_url(changes["url"], settings)
    for name, value in changes.items():
        setattr(webhook, name, value)
    audit.record_event(session, actor, "webhook.changed", webhook.id, **changes)
    session.flush()
    return webhook


def delete_webhook(session: Session, webhook_id: str, *, actor: str) -> None:
    """Delete a webhook and its deliveries."""
    webhook = get(session, webhook_id)
    session.refresh(webhook, with_for_update=True)
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id))
    session.delete(webhook)
    audit.record_event(session, actor, "webhook.deleted", webhook_id, url=webhook.url)
    session.flush()


def ping(session: Session, webhook_id: str, *, actor: str) -> WebhookDelivery:
    """Queue a test delivery, even if the webhook is disabled."""
    delivery = outbox.enqueue_ping(session, get(session, webhook_id))
    audit.record_event(session, actor, "webhook.pinged", webhook_id, delivery=delivery.id)
    session.flush()
    return delivery


def check_url(url: str, settings: Settings) -> SplitResult:
    """Verify that the settings allow a webhook URL, and return its parts.

    Host names are resolved and checked only when a delivery is sent.

    Raises:
        AddressRefused: The URL is invalid, or its scheme or host is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused(f"{url!r} is not a valid URL.", pointer="/url") from error
    schemes = {"https", "http"} if settings.webhooks_http else {"https"}
    if (
        parts.scheme not in schemes
        or not host
        or parts.username is not None
        or not url.isascii()
        or not url.isprintable()
    ):
        raise AddressRefused(
            f"A webhook URL must be an ASCII {' or '.join(sorted(schemes))} URL and must not"
            " contain a user name.",
            pointer="/url",
        )
    if not settings.webhooks_private and (host == "localhost" or is_private_literal(host)):
        raise AddressRefused(f"{host} is not a public address.", pointer="/url")
    return parts
