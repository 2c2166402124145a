"""Wire formats of webhooks and their deliveries."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from api.schemas.base import ResponseModel, check_choices, enum_items_schema
from dlkd_core.common import FrozenModel
from registry.webhooks.outbox import EVENTS

_EventTypes = Annotated[
    list[str],
    Field(min_length=1),
    AfterValidator(lambda values: check_choices(values, set(EVENTS), "event")),
]


class WebhookRequest(FrozenModel):
    """Properties of a new webhook."""

    url: str = Field(max_length=2000)
    events: _EventTypes = Field(
        description="Event types to send.", json_schema_extra=enum_items_schema(EVENTS)
    )
    enabled: bool = True


class WebhookPatch(FrozenModel):
    """Changes to a webhook. Omitted fields stay unchanged."""

    url: str | None = Field(None, max_length=2000)
    events: _EventTypes | None = Field(
        None, description="Event types to send. They replace the existing ones."
    )
    enabled: bool | None = None


class WebhookOut(ResponseModel):
    """A webhook without its signing secret."""

    id: str
    owner: str
    url: str
    events: list[str]
    enabled: bool
    created_at: datetime


class NewWebhookOut(WebhookOut):
    """A webhook with its signing secret, which is returned only once."""

    secret: str | None = Field(
        description="Signing secret. Null if the request is repeated with the same Idempotency-Key."
    )


class DeliveryOut(ResponseModel):
    """A delivery of one event to one webhook."""

    id: str = Field(description="Delivery id. It is also in the `webhook-id` header.")
    webhook_id: str
    type: str = Field(description="Event type.")
    payload: dict[str, Any]
    status: str = Field(description="`pending`, `delivered` or `failed`.")
    attempts: int = Field(description="Number of attempts so far.")
    next_at: datetime | None = Field(
        description="Earliest time at which a pending delivery will be attempted again."
    )
    code: int | None = Field(description="HTTP status of the last response.")
    error: str | None = Field(description="Reason why the last attempt received no response.")
    created_at: datetime
    finished_at: datetime | None
