"""Webhook events. They are stored in the transaction that causes them and sent later."""

from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.database import now
from registry.db.ids import new_id
from registry.db.job_tables import Job
from registry.db.webhook_tables import Webhook, WebhookDelivery
from registry.jobs.job_enums import JobKind

_CHECK_SUBJECTS: dict[str, str] = {
    JobKind.CHECK_TEACHER: "teacher",
    JobKind.CHECK_DATASET: "dataset",
}
_CHECK_STATES = {"succeeded": "ready", "failed": "invalid"}
_JOB_EVENTS = (
    "queued",
    "starting",
    "running",
    "exporting",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "paused",
)
EVENTS = (
    *(f"job.{state}" for state in _JOB_EVENTS),
    *(f"{kind}.{state}" for kind in _CHECK_SUBJECTS.values() for state in _CHECK_STATES.values()),
)
PING = "webhook.ping"


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def enqueue_job_event(session: Session, job: Job) -> None:
    """Queue a delivery of the job's new status to each webhook that subscribes to this event."""
    subject = _CHECK_SUBJECTS.get(job.kind)
    if job.kind == JobKind.DISTILL:
        data = {
            "id": job.id,
            "name": job.name,
            "status": job.status,
            "attempt": job.attempt,
            "model_id": job.model_id,
        }
        _enqueue(session, job.owner, f"job.{job.status}", data)
    elif subject is not None and job.status in _CHECK_STATES:
        _enqueue(
            session, job.owner, f"{subject}.{_CHECK_STATES[job.status]}", {"id": job.subject_id}
        )


def enqueue_ping(session: Session, webhook: Webhook) -> WebhookDelivery:
    """Queue a test delivery."""
    return _add_delivery(session, webhook, PING, {"id": webhook.id})


def _enqueue(session: Session, owner: str, event: str, data: dict[str, Any]) -> None:
    if event not in EVENTS:
        return
    # The rows stay locked until the commit. Otherwise, if a webhook were deleted in the meantime,
    # the job's own transaction would fail.
    enabled = (
        select(Webhook)
        .where(Webhook.owner == owner, Webhook.enabled)
        .with_for_update(read=True, key_share=True)
    )
    for webhook in session.execute(enabled).scalars().all():
        if event in webhook.events:
            _add_delivery(session, webhook, event, data)


def _add_delivery(
    session: Session, webhook: Webhook, event: str, data: dict[str, Any]
) -> WebhookDelivery:
    at = now(session)
    delivery = WebhookDelivery(
        id=new_id("delivery"),
        webhook_id=webhook.id,
        type=event,
        payload={"type": event, "timestamp": at.isoformat(), "data": data},
        status=DeliveryStatus.PENDING,
        attempts=0,
        next_at=at,
        created_at=at,
    )
    session.add(delivery)
    session.flush()
    return delivery
