"""Whether the service lives, and whether it can work."""

from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.deps import Parts, Services
from api.problems import FieldProblem, answer, problem, request_id_of
from api.schemas import ReadyOut
from registry import workers
from registry.db import check_head

router = APIRouter(tags=["health"])
_ALIVE = timedelta(seconds=90)  # workers report more often


class LiveOut(BaseModel):
    status: str = "alive"


@router.get("/livez", operation_id="get_live")
def get_live() -> LiveOut:
    """The process answers. Asks nothing of anybody."""
    return LiveOut()


@router.get("/readyz", operation_id="get_ready", response_model=ReadyOut)
def get_ready(request: Request, parts: Parts) -> Response:
    """Database, migrations and file store must answer (503 otherwise). Without broker or workers, jobs wait: degraded."""
    vital = {"database": _outcome(lambda: check_head(parts.database.engine)), "store": _outcome(parts.store.check)}
    broken = {name: outcome for name, outcome in vital.items() if outcome != _OK}
    if broken:
        errors = [FieldProblem(code=f"{name}_unavailable", message=outcome) for name, outcome in broken.items()]
        detail = f"Not answering: {', '.join(broken)}."
        return answer(problem(503, "not_ready", detail, hint="Tell the operator.", errors=errors), request_id_of(request))
    helpful = {"broker": _outcome(parts.queue.check), "workers": _outcome(lambda: _somebody_works(parts))}
    well = all(outcome == _OK for outcome in helpful.values())
    ready = ReadyOut(status="ready" if well else "degraded", checks=vital | helpful)
    return Response(ready.model_dump_json(), media_type="application/json")


_OK = "ok"


class _NobodyWorks(Exception):
    pass


def _somebody_works(parts: Services) -> None:
    with parts.database.read() as session:
        if not workers.alive(session, within=_ALIVE):
            raise _NobodyWorks("no worker has been heard of lately: jobs wait")


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - engines raise their own kinds; here each is an answer
        return str(error).partition("\n")[0] or type(error).__name__
    return _OK
