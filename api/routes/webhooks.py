"""Who is told of what happens, and what became of it."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api.access_schemas import DeliveryOut, NewWebhookOut, WebhookForm, WebhookOut, WebhookPatch
from api.changes import Hints, change, described
from api.deps import Caller, Cursor, Limit, Once, Parts
from api.schemas import Page
from registry import webhooks

PATH = "/v1/webhooks"
router = APIRouter(prefix=PATH, tags=["webhooks"])


@router.post("", operation_id="create_webhook", status_code=201, response_model=NewWebhookOut)
def create_webhook(form: WebhookForm, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Tells a URL of the owner's events. The answer holds the secret that signs them, this once."""

    def add(session: Session, _hints: Hints) -> NewWebhookOut:
        made = webhooks.create(session, caller, **form.model_dump(), settings=parts.settings)
        return NewWebhookOut.model_validate(made)

    made = change(parts, caller, key, described("webhook", form.model_dump_json()), add, once="secret")
    response.headers["Location"] = f"{PATH}/{made['id']}"
    return made


@router.get("", operation_id="list_webhooks")
def list_webhooks(parts: Parts, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Page[WebhookOut]:
    """Webhooks, newest first."""
    with parts.database.read() as session:
        return Page[WebhookOut].model_validate(webhooks.page(session, owner=caller.visible, limit=limit, cursor=cursor))


@router.get("/{webhook_id}", operation_id="get_webhook")
def get_webhook(webhook_id: str, parts: Parts) -> WebhookOut:
    """One webhook."""
    with parts.database.read() as session:
        return WebhookOut.model_validate(webhooks.get(session, webhook_id))


@router.patch("/{webhook_id}", operation_id="change_webhook")
def change_webhook(webhook_id: str, patch: WebhookPatch, parts: Parts, caller: Caller) -> WebhookOut:
    """Changes url, events or enabled; what is left out stays."""
    changes = {name: value for name, value in patch.model_dump(exclude_unset=True).items() if value is not None}
    with parts.database.write() as session:
        row = webhooks.change(session, webhook_id, changes, actor=caller.id, settings=parts.settings)
        return WebhookOut.model_validate(row)


@router.delete("/{webhook_id}", operation_id="delete_webhook", status_code=204)
def delete_webhook(webhook_id: str, parts: Parts, caller: Caller) -> None:
    """Deletes a webhook with its deliveries; what was not sent yet is not sent."""
    with parts.database.write() as session:
        webhooks.remove(session, webhook_id, actor=caller.id)


@router.post("/{webhook_id}/ping", operation_id="ping_webhook", status_code=202, response_model=DeliveryOut)
def ping_webhook(webhook_id: str, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Sends the event `webhook.ping`, soon, as any other."""

    def send(session: Session, _hints: Hints) -> DeliveryOut:
        return DeliveryOut.model_validate(webhooks.ping(session, webhook_id, actor=caller.id))

    return change(parts, caller, key, described("ping", webhook_id), send)


@router.get("/{webhook_id}/deliveries", operation_id="list_deliveries")
def list_deliveries(webhook_id: str, parts: Parts, limit: Limit = 50, cursor: Cursor = None) -> Page[DeliveryOut]:
    """What was or will be sent, newest first; of the last 30 days."""
    with parts.database.read() as session:
        return Page[DeliveryOut].model_validate(webhooks.deliveries(session, webhook_id, limit=limit, cursor=cursor))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver", operation_id="redeliver", status_code=202, response_model=DeliveryOut
)
def redeliver(webhook_id: str, delivery_id: str, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Sends a delivery again, under the id that it has."""

    def again(session: Session, _hints: Hints) -> DeliveryOut:
        return DeliveryOut.model_validate(webhooks.redeliver(session, webhook_id, delivery_id, actor=caller.id))

    return change(parts, caller, key, described("redeliver", delivery_id), again)
