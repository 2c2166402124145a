"""Workers: list, get and drain."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, Services, ServicesDep
from api.schemas.serializers import serialize_workers
from api.schemas.worker_schemas import WorkerList, WorkerOut
from api.transactions import QueueHints, fingerprint, run_idempotent
from registry.access import audit
from registry.access.permissions import Principal
from registry.workers import membership

router = APIRouter(prefix="/v1/workers", tags=["workers"])


@router.get("", operation_id="list_workers")
def list_workers(services: ServicesDep, caller: Caller) -> WorkerList:
    """List workers, oldest first.

    Workers that have stopped sending heartbeats stay in the list for a day. Workers that were shut
    down are not listed.
    """
    with services.database.read() as session:
        workers = membership.list_all(session)
        return WorkerList(items=serialize_workers(session, workers, services.settings, caller))


@router.get("/{worker_id}", operation_id="get_worker")
def get_worker(worker_id: str, services: ServicesDep, caller: Caller) -> WorkerOut:
    """Get a worker."""
    with services.database.read() as session:
        worker = membership.get(session, worker_id)
        return serialize_workers(session, [worker], services.settings, caller)[0]


@router.post("/{worker_id}/drain", operation_id="drain_worker", response_model=WorkerOut)
def drain_worker(
    worker_id: str,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
    *,
    now: Annotated[
        bool,
        Query(
            description="Also stop the running jobs. They save a checkpoint and are queued again."
        ),
    ] = False,
) -> Any:
    """Stop assigning jobs to a worker. It exits when its running jobs have finished."""
    mode = membership.DrainMode.NOW if now else membership.DrainMode.FINISH
    return _set_drain(services, caller, idempotency_key, worker_id, mode)


@router.delete(
    "/{worker_id}/drain",
    operation_id="undrain_worker",
    summary="Stop Draining Worker",
    response_model=WorkerOut,
)
def undrain_worker(worker_id: str, services: ServicesDep, caller: Caller) -> Any:
    """Let a draining worker accept jobs again, unless it has exited."""
    return _set_drain(services, caller, None, worker_id, None)


def _set_drain(
    services: Services,
    caller: Principal,
    idempotency_key: str | None,
    worker_id: str,
    drain: membership.DrainMode | None,
) -> dict[str, Any]:
    def set_drain(session: Session, _hints: QueueHints) -> WorkerOut:
        worker = membership.set_drain_mode(session, worker_id, drain)
        audit.record_event(
            session,
            caller.id,
            "worker.drain" if drain else "worker.undrain",
            worker_id,
            order=drain,
        )
        return serialize_workers(session, [worker], services.settings, caller)[0]

    return run_idempotent(
        services, caller, idempotency_key, fingerprint("drain", worker_id, order=drain), set_drain
    )
