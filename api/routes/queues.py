"""Queues: what waits, and who works on it."""

from datetime import timedelta

from fastapi import APIRouter

from api.deps import Parts
from api.worker_schemas import QueueList, QueueOut
from registry import backlog

router = APIRouter(prefix="/v1/queues", tags=["workers"])


@router.get("", operation_id="list_queues")
def list_queues(parts: Parts) -> QueueList:
    """Every queue by name. Jobs are counted whosever they are."""
    with parts.database.read() as session:
        found = backlog.of(session, alive=timedelta(seconds=parts.settings.patience_seconds))
    return QueueList(items=[QueueOut.model_validate(queue) for queue in found])
