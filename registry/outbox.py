"""Events for webhooks, written in the transaction in which they happen and sent later."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.access_tables import Delivery, Webhook
from registry.db import now
from registry.ids import new_id
from registry.tables import Job

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
_UPLOADS = {"check_teacher": "teacher", "check_dataset": "dataset"}
_CHECKED = {"succeeded": "ready", "failed": "invalid"}
_JOB_EVENTS = ("queued", "starting", "running", "exporting", "succeeded", "failed", "cancelled", "expired", "paused")
EVENTS = (
    *(f"job.{state}" for state in _JOB_EVENTS),
    *(f"{kind}.{state}" for kind in _UPLOADS.values() for state in _CHECKED.values()),
)
PING = "webhook.ping"


def tell(session: Session, job: Job) -> None:
    """The job has come into the state that it has: its owner's webhooks that ask for it will be told."""
    subject = _UPLOADS.get(job.kind)
    if job.kind == "distill":
        data = {"id": job.id, "name": job.name, "status": job.status, "attempt": job.attempt, "model_id": job.model_id}
        _put(session, job.owner, f"job.{job.status}", data)
    elif subject is not None and job.status in _CHECKED:
        _put(session, job.owner, f"{subject}.{_CHECKED[job.status]}", {"id": job.subject_id})


def ping(session: Session, webhook: Webhook) -> Delivery:
    """A delivery that says nothing but that it came."""
    return _add(session, webhook, PING, {"id": webhook.id})


def _put(session: Session, owner: str, kind: str, data: dict[str, Any]) -> None:
    if kind not in EVENTS:
        return
    # Held until the commit: a webhook that is deleted meanwhile must not fail the job's own transaction.
    wanting = select(Webhook).where(Webhook.owner == owner, Webhook.enabled).with_for_update(read=True, key_share=True)
    for webhook in session.execute(wanting).scalars().all():
        if kind in webhook.events:
            _add(session, webhook, kind, data)


def _add(session: Session, webhook: Webhook, kind: str, data: dict[str, Any]) -> Delivery:
    at = now(session)
    payload = {"type": kind, "timestamp": at.isoformat(), "data": data}
    row = Delivery(
        id=new_id("delivery"),
        webhook_id=webhook.id,
        type=kind,
        payload=payload,
        status=PENDING,
        attempts=0,
        next_at=at,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row
