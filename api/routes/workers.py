"""Workers: what there is to run on, how busy it is, and how to empty one."""

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.changes import Hints, change, described
from api.deps import Caller, Once, Parts, Services
from api.worker_schemas import HeldOut, WorkerList, WorkerOut, device_out
from registry import audit, workers
from registry.db import now
from registry.keys import Principal
from registry.offers import slot_of
from registry.tables import WorkerRow

router = APIRouter(prefix="/v1/workers", tags=["workers"])


@router.get("", operation_id="list_workers")
def list_workers(parts: Parts, caller: Caller) -> WorkerList:
    """All of them, oldest first, with those that fell silent within the last day; one that shut down is not there any more."""
    with parts.database.read() as session:
        return WorkerList(items=_shown(session, parts, caller, workers.everyone(session)))


@router.get("/{worker_id}", operation_id="get_worker")
def get_worker(worker_id: str, parts: Parts, caller: Caller) -> WorkerOut:
    """One worker."""
    with parts.database.read() as session:
        return _shown(session, parts, caller, [workers.get(session, worker_id)])[0]


@router.post("/{worker_id}/drain", operation_id="drain_worker", response_model=WorkerOut)
def drain_worker(
    worker_id: str,
    parts: Parts,
    caller: Caller,
    key: Once = None,
    *,
    now: Annotated[
        bool, Query(description="What runs saves a checkpoint and goes back to its queue, for another worker")
    ] = False,
) -> Any:
    """Takes no new job from now on; the worker ends when what it runs has finished."""
    return _drain(parts, caller, key, worker_id, "now" if now else "finish")


@router.delete("/{worker_id}/drain", operation_id="undrain_worker", response_model=WorkerOut)
def undrain_worker(worker_id: str, parts: Parts, caller: Caller) -> Any:
    """Takes jobs again, unless it has ended."""
    return _drain(parts, caller, None, worker_id, None)


def _drain(parts: Services, caller: Principal, key: str | None, worker_id: str, order: workers.Drain | None) -> dict[str, Any]:
    def tell(session: Session, _hints: Hints) -> WorkerOut:
        row = workers.drain(session, worker_id, order)
        audit.note(session, caller.id, "worker.drain" if order else "worker.undrain", worker_id, order=order)
        return _shown(session, parts, caller, [row])[0]

    return change(parts, caller, key, described("drain", worker_id, order=order), tell)


def _shown(session: Session, parts: Services, caller: Principal, rows: list[WorkerRow]) -> list[WorkerOut]:
    held = workers.held(session, [row.id for row in rows])
    at, within = now(session), timedelta(seconds=parts.settings.patience_seconds)
    return [
        _out(row, workers.state(row, at, within=within), [job for job in held if job.worker_id == row.id], caller) for row in rows
    ]


def _out(row: WorkerRow, status: workers.State, held: list[workers.Held], caller: Principal) -> WorkerOut:
    busy = Counter(dict.fromkeys(row.slots, 0))
    for job in held:
        busy[slot_of(job.queue)] += job.slots
    told = {
        name: getattr(row, name)
        for name in ("id", "name", "hostname", "pid", "version", "queues", "slots", "started_at", "last_seen")
    }
    seen = [job for job in held if job.kind == "distill" and caller.visible in {None, job.owner}]
    return WorkerOut(
        **told,
        status=status,
        busy=busy,
        devices=[device_out(device) for device in row.devices],
        jobs=[HeldOut.model_validate(job) for job in seen],
    )
