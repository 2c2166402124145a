"""Job queues."""

from datetime import timedelta

from fastapi import APIRouter

from api.deps import ServicesDep
from api.schemas.worker_schemas import QueueList, QueueOut
from registry.observability import queue_stats

router = APIRouter(prefix="/v1/queues", tags=["workers"])


@router.get("", operation_id="list_queues")
def list_queues(services: ServicesDep) -> QueueList:
    """List all job queues, sorted by name. Counts include the jobs of all owners."""
    with services.database.read() as session:
        stats = queue_stats.collect_queue_stats(
            session, alive_within=timedelta(seconds=services.settings.liveness_seconds)
        )
    return QueueList(items=[QueueOut.model_validate(queue) for queue in stats])
