"""Jobs: submit, list, get, change and delete. Other actions are in `job_actions`."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, Services, ServicesDep
from api.responses import with_location
from api.schemas.base import Page
from api.schemas.job_schemas import (
    AttemptList,
    AttemptOut,
    JobMetricsOut,
    JobOut,
    JobPatch,
    JobPlan,
    MetricPointOut,
)
from api.schemas.query_params import JobQuery
from api.schemas.serializers import serialize_job, serialize_job_plan, serialize_jobs
from api.transactions import QueueHints, delete_with_files, run_idempotent
from registry.access import quotas
from registry.access.permissions import Principal
from registry.db.job_tables import Job
from registry.errors import UnprocessableRequest
from registry.jobs import edits, queries, submission
from registry.jobs.job_request import JobRequest
from registry.jobs.lifecycle import JobStatus
from registry.storage.object_store import CHECKPOINTS_PREFIX

PATH = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"])


@router.post(
    "",
    operation_id="create_job",
    summary="Submit Job",
    status_code=201,
    response_model=JobOut,
    responses={
        200: {
            "model": JobPlan,
            "description": "With `validate_only`: the plan of the job.",
        }
    },
)
def create_job(
    request: JobRequest,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
    *,
    validate_only: Annotated[
        bool, Query(description="Validate the request and return a plan without submitting a job.")
    ] = False,
) -> Any:
    """Submit a job.

    The status of the job is `validating` while its inputs are being checked, and then `queued`.
    """
    if validate_only:
        return JSONResponse(_plan_job(services, caller, request).model_dump(mode="json"))
    job = run_job_action(
        services,
        caller,
        idempotency_key,
        PATH.encode() + request.model_dump_json().encode(),
        lambda session: submit_job(session, services, caller, request),
    )
    return with_location(response, PATH, job)


def _plan_job(services: Services, caller: Principal, request: JobRequest) -> JobPlan:
    outcome: Job | UnprocessableRequest
    with services.database.read() as session:
        try:
            outcome = submission.plan(
                session, request, visible_owner=caller.visible_owner, owner=caller.owner
            )
        except UnprocessableRequest as error:
            outcome = error
        return serialize_job_plan(session, request, outcome, services.settings)


@router.get("", operation_id="list_jobs")
def list_jobs(
    services: ServicesDep, caller: Caller, query: Annotated[JobQuery, Query()]
) -> Page[JobOut]:
    """List the jobs that match all filters, newest first."""
    with services.database.read() as session:
        page = queries.list_page(
            session, query.to_filters(caller.visible_owner), limit=query.limit, cursor=query.cursor
        )
        return Page[JobOut](
            items=serialize_jobs(session, page.items, services.settings),
            next_cursor=page.next_cursor,
        )


@router.get("/{job_id}", operation_id="get_job")
def get_job(job_id: str, services: ServicesDep) -> JobOut:
    """Get a job."""
    with services.database.read() as session:
        return serialize_job(session, queries.get(session, job_id), services.settings)


@router.patch("/{job_id}", operation_id="change_job")
def change_job(job_id: str, patch: JobPatch, services: ServicesDep, caller: Caller) -> JobOut:
    """Change the name, notes, labels or priority of a job with a JSON merge patch (RFC 7396).

    The priority can only be changed while the job is waiting.
    """
    changes = {name: value for name, value in patch if value is not None}
    with services.database.write() as session:
        return serialize_job(
            session, edits.update_job(session, job_id, changes, actor=caller.id), services.settings
        )


@router.delete("/{job_id}", operation_id="delete_job", status_code=204)
def delete_job(
    job_id: str,
    services: ServicesDep,
    caller: Caller,
    *,
    with_model: Annotated[
        bool, Query(description="Also delete the model that the job produced, and its files.")
    ] = False,
) -> None:
    """Delete a finished job with its attempts, events, metrics, log and checkpoint."""
    delete_with_files(
        services,
        lambda session: edits.delete_job(session, job_id, actor=caller.id, with_model=with_model),
    )
    services.store.delete_prefix(f"{CHECKPOINTS_PREFIX}/{job_id}")


@router.get("/{job_id}/attempts", operation_id="list_job_attempts")
def list_job_attempts(job_id: str, services: ServicesDep) -> AttemptList:
    """List the attempts of a job, oldest first."""
    with services.database.read() as session:
        queries.get(session, job_id)
        attempts = queries.list_attempts(session, job_id)
        return AttemptList(items=[AttemptOut.model_validate(attempt) for attempt in attempts])


@router.get("/{job_id}/metrics", operation_id="get_job_metrics")
def get_job_metrics(
    job_id: str,
    services: ServicesDep,
    name: Annotated[
        list[str] | None,
        Query(
            description="Name of a metric. Repeat the parameter to get several. If omitted, all "
            "metrics are returned."
        ),
    ] = None,
    max_points: Annotated[
        int,
        Query(
            ge=2,
            le=10_000,
            description="Maximum number of points per metric. Longer series are evenly "
            "thinned out. Their last point is always kept.",
        ),
    ] = 1000,
) -> JobMetricsOut:
    """Get the metrics of a job by step: loss terms, learning rate and accuracy."""
    series: dict[str, list[MetricPointOut]] = {}
    with services.database.read() as session:
        queries.get(session, job_id)
        for row in queries.list_metrics(session, job_id, names=name, max_points=max_points):
            series.setdefault(row.name, []).append(MetricPointOut.model_validate(row))
    return JobMetricsOut(series=series)


def submit_job(
    session: Session,
    services: Services,
    caller: Principal,
    request: JobRequest,
    *,
    cloned_from: str | None = None,
) -> Job:
    """Submit a job.

    Raises:
        QuotaExceeded: The job would exceed its owner's quotas.
    """
    job = submission.submit(
        session,
        caller,
        request,
        max_attempts=services.settings.max_attempts,
        cloned_from=cloned_from,
    )
    quotas.check_jobs(session, job.owner, services.default_quotas)
    return job


def run_job_action(
    services: Services,
    caller: Principal,
    idempotency_key: str | None,
    request_fingerprint: bytes,
    action: Callable[[Session], Job],
) -> dict[str, Any]:
    """Run an action on a job in a transaction, and notify the workers if the job is then queued."""

    def run(session: Session, hints: QueueHints) -> JobOut:
        job = action(session)
        session.flush()
        if job.status == JobStatus.QUEUED:
            hints.append((job.queue, job.id))
        return serialize_job(session, job, services.settings)

    return run_idempotent(services, caller, idempotency_key, request_fingerprint, run)
