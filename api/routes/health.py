"""Liveness and readiness of the service."""

from datetime import timedelta
from enum import StrEnum

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.deps import Services
from api.observability.probes import OK, ProbeRunner
from api.problems import FieldProblem, build_problem, get_request_id, problem_response
from api.schemas.base import ResponseModel
from registry.db.schema_migrations import check_revision
from registry.workers import membership

router = APIRouter(tags=["health"])
WORKER_TIMEOUT = timedelta(seconds=90)  # longer than the heartbeat interval
PROBE_TIMEOUT_SECONDS = 3.0  # longer than the broker's own timeout of 2 seconds
_REQUIRED_CHECKS = ("database", "store")


class LivenessOut(BaseModel):
    status: str = "alive"


class ReadinessStatus(StrEnum):
    READY = "ready"
    DEGRADED = "degraded"


class ReadinessOut(ResponseModel):
    """State of the service: whether it can process requests and jobs."""

    status: ReadinessStatus
    checks: dict[str, str] = Field(
        description="Result of each component's check: `ok` or an error message."
    )


@router.get("/livez", operation_id="get_live", summary="Check Liveness")
def get_live() -> LivenessOut:
    """Report that the API process is running. Other components are not checked."""
    return LivenessOut()


@router.get(
    "/readyz", operation_id="get_ready", summary="Check Readiness", response_model=ReadinessOut
)
def get_ready(request: Request) -> Response:
    """Report whether the service is ready.

    The response is 503 if the database or the file store is unavailable, or if some migrations have
    not been run. If only the broker or the workers are unavailable, jobs wait and the status is
    `degraded`.
    """
    checks: dict[str, str] = request.app.state.probe_runner.run_all()
    failed = {name: checks[name] for name in _REQUIRED_CHECKS if checks[name] != OK}
    if failed:
        errors = [
            FieldProblem(code=f"{name}_unavailable", message=message)
            for name, message in failed.items()
        ]
        problem = build_problem(
            503,
            "not_ready",
            f"Unavailable: {', '.join(failed)}.",
            hint="Contact the operator.",
            errors=errors,
        )
        return problem_response(problem, get_request_id(request))
    all_ok = all(result == OK for result in checks.values())
    status = ReadinessStatus.READY if all_ok else ReadinessStatus.DEGRADED
    readiness = ReadinessOut(status=status, checks=checks)
    return Response(readiness.model_dump_json(), media_type="application/json")


def build_probe_runner(services: Services) -> ProbeRunner:
    """Return the readiness checks of the service."""

    def check_workers() -> None:
        with services.database.read() as session:
            if not membership.list_alive(session, within=WORKER_TIMEOUT):
                raise RuntimeError("no worker has sent a heartbeat recently, so jobs have to wait")

    checks = {
        "database": lambda: check_revision(services.database.engine),
        "store": services.store.check,
        "broker": services.queue.check,
        "workers": check_workers,
    }
    return ProbeRunner(checks, PROBE_TIMEOUT_SECONDS)
