"""Whether the service lives, and whether it can work."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.deps import Services
from api.probes import OK, Probes
from api.problems import FieldProblem, answer, problem, request_id_of
from api.schemas import ReadyOut
from registry import workers
from registry.db import check_head

router = APIRouter(tags=["health"])
ALIVE = timedelta(seconds=90)  # workers report more often
CHECK_SECONDS = 3.0  # the broker's own limit is 2
_VITAL = ("database", "store")


class LiveOut(BaseModel):
    status: str = "alive"


@router.get("/livez", operation_id="get_live")
def get_live() -> LiveOut:
    """The process answers. Asks nothing of anybody."""
    return LiveOut()


@router.get("/readyz", operation_id="get_ready", response_model=ReadyOut)
def get_ready(request: Request) -> Response:
    """Database, migrations and file store must answer (503 otherwise). Without broker or workers, jobs wait: degraded."""
    probes: Probes = request.app.state.probes
    checks = probes.outcomes()
    broken = {name: checks[name] for name in _VITAL if checks[name] != OK}
    if broken:
        errors = [FieldProblem(code=f"{name}_unavailable", message=outcome) for name, outcome in broken.items()]
        detail = f"Not answering: {', '.join(broken)}."
        return answer(problem(503, "not_ready", detail, hint="Tell the operator.", errors=errors), request_id_of(request))
    well = all(outcome == OK for outcome in checks.values())
    ready = ReadyOut(status="ready" if well else "degraded", checks=checks)
    return Response(ready.model_dump_json(), media_type="application/json")


def probes_of(parts: Services) -> Probes:
    """What readiness asks."""

    def somebody_works() -> None:
        with parts.database.read() as session:
            if not workers.alive(session, within=ALIVE):
                raise _NobodyWorks("no worker has been heard of lately: jobs wait")

    checks = {
        "database": lambda: check_head(parts.database.engine),
        "store": parts.store.check,
        "broker": parts.queue.check,
        "workers": somebody_works,
    }
    return Probes(checks, CHECK_SECONDS)


class _NobodyWorks(Exception):
    pass
