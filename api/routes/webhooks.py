"""Webhooks and their deliveries."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, PageCursor, PageLimit, ServicesDep
from api.responses import with_location
from api.schemas.base import Page
from api.schemas.webhook_schemas import (
    DeliveryOut,
    NewWebhookOut,
    WebhookOut,
    WebhookPatch,
    WebhookRequest,
)
from api.transactions import QueueHints, fingerprint, run_idempotent
from registry.webhooks import deliveries, subscriptions

PATH = "/v1/webhooks"
router = APIRouter(prefix=PATH, tags=["webhooks"])


@router.post("", operation_id="create_webhook", status_code=201, response_model=NewWebhookOut)
def create_webhook(
    body: WebhookRequest,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Create a webhook that sends events to a URL.

    The webhook receives only events about resources of the owner to which the caller belongs.

    Only this response contains the signing secret.
    """

    def create(session: Session, _hints: QueueHints) -> NewWebhookOut:
        return NewWebhookOut.model_validate(
            subscriptions.create(session, caller, **body.model_dump(), settings=services.settings)
        )

    webhook = run_idempotent(
        services,
        caller,
        idempotency_key,
        fingerprint("webhook", body.model_dump_json()),
        create,
        unstored_field="secret",
    )
    return with_location(response, PATH, webhook)


@router.get("", operation_id="list_webhooks")
def list_webhooks(
    services: ServicesDep, caller: Caller, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[WebhookOut]:
    """List webhooks, newest first."""
    with services.database.read() as session:
        return Page[WebhookOut].model_validate(
            subscriptions.list_page(session, owner=caller.visible_owner, limit=limit, cursor=cursor)
        )


@router.get("/{webhook_id}", operation_id="get_webhook")
def get_webhook(webhook_id: str, services: ServicesDep) -> WebhookOut:
    """Get a webhook."""
    with services.database.read() as session:
        return WebhookOut.model_validate(subscriptions.get(session, webhook_id))


@router.patch("/{webhook_id}", operation_id="change_webhook")
def change_webhook(
    webhook_id: str, patch: WebhookPatch, services: ServicesDep, caller: Caller
) -> WebhookOut:
    """Change the URL or events of a webhook, or enable or disable it."""
    changes = patch.model_dump(exclude_none=True)
    with services.database.write() as session:
        row = subscriptions.update_webhook(
            session, webhook_id, changes, actor=caller.id, settings=services.settings
        )
        return WebhookOut.model_validate(row)


@router.delete("/{webhook_id}", operation_id="delete_webhook", status_code=204)
def delete_webhook(webhook_id: str, services: ServicesDep, caller: Caller) -> None:
    """Delete a webhook and its deliveries. Pending deliveries are not sent."""
    with services.database.write() as session:
        subscriptions.delete_webhook(session, webhook_id, actor=caller.id)


@router.post(
    "/{webhook_id}/ping", operation_id="ping_webhook", status_code=202, response_model=DeliveryOut
)
def ping_webhook(
    webhook_id: str, services: ServicesDep, caller: Caller, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queue a `webhook.ping` event. It is delivered like any other event."""

    def ping(session: Session, _hints: QueueHints) -> DeliveryOut:
        return DeliveryOut.model_validate(subscriptions.ping(session, webhook_id, actor=caller.id))

    return run_idempotent(services, caller, idempotency_key, fingerprint("ping", webhook_id), ping)


@router.get("/{webhook_id}/deliveries", operation_id="list_deliveries")
def list_deliveries(
    webhook_id: str, services: ServicesDep, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[DeliveryOut]:
    """List the deliveries of the last 30 days, newest first, including pending ones."""
    with services.database.read() as session:
        return Page[DeliveryOut].model_validate(
            deliveries.list_deliveries(session, webhook_id, limit=limit, cursor=cursor)
        )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    operation_id="redeliver",
    summary="Send Delivery Again",
    status_code=202,
    response_model=DeliveryOut,
)
def redeliver_delivery(
    webhook_id: str,
    delivery_id: str,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Send a delivery again with the same id."""

    def redeliver(session: Session, _hints: QueueHints) -> DeliveryOut:
        return DeliveryOut.model_validate(
            deliveries.redeliver(session, webhook_id, delivery_id, actor=caller.id)
        )

    return run_idempotent(
        services, caller, idempotency_key, fingerprint("redeliver", delivery_id), redeliver
    )
