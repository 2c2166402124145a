"""Jobs: submitted, looked at, listed, changed in their words, deleted. `controls` has what is done to their work."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from api.changes import Hints, change, delete
from api.deps import Caller, Once, Parts, Services
from api.queries import JobQuery
from api.schemas import AttemptList, AttemptOut, JobOut, JobPatch, JobPlan, MetricsOut, Page, PointOut
from api.views import job_out, jobs_out, plan_out
from registry import edits, jobs, listing, quotas
from registry.access import Principal
from registry.errors import Unfit
from registry.lifecycle import JobStatus
from registry.quotas import Limits
from registry.requests import JobRequest
from registry.tables import Job

PATH = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"])


@router.post(
    "",
    operation_id="create_job",
    status_code=201,
    response_model=JobOut,
    responses={200: {"model": JobPlan, "description": "With validate_only: what would become of the request"}},
)
def create_job(
    request: JobRequest,
    response: Response,
    parts: Parts,
    caller: Caller,
    key: Once = None,
    *,
    validate_only: Annotated[bool, Query(description="Say what would be run, and keep nothing")] = False,
) -> Any:
    """Takes in a job: `validating` while its inputs are checked, then `queued`."""
    if validate_only:
        return JSONResponse(_plan(parts, caller, request).model_dump(mode="json"))

    def submit(session: Session, hints: Hints) -> JobOut:
        job = jobs.submit(session, caller, request, max_attempts=parts.settings.max_attempts)
        quotas.check_jobs(session, job.owner, Limits.of(parts.settings))
        if job.status == JobStatus.QUEUED:
            hints.append((job.queue, job.id))
        return job_out(session, job, parts.settings)

    job = change(parts, caller, key, PATH.encode() + request.model_dump_json().encode(), submit)
    response.headers["Location"] = f"{PATH}/{job['id']}"
    return job


def _planned(session: Session, caller: Principal, request: JobRequest) -> Job:
    return jobs.plan(session, request, visible=caller.visible, owner=caller.owner)


def _plan(parts: Services, caller: Principal, request: JobRequest) -> JobPlan:
    with parts.database.read() as session:
        try:
            return plan_out(session, request, _planned(session, caller, request), parts.settings)
        except Unfit as refusal:
            return plan_out(session, request, refusal, parts.settings)


@router.get("", operation_id="list_jobs")
def list_jobs(parts: Parts, caller: Caller, query: Annotated[JobQuery, Query()]) -> Page[JobOut]:
    """Jobs, newest first; those that meet all of the filters."""
    with parts.database.read() as session:
        page = listing.page(session, query.filters(caller.visible), limit=query.limit, cursor=query.cursor)
        return Page[JobOut](items=jobs_out(session, page.items, parts.settings), next_cursor=page.next_cursor)


@router.get("/{job_id}", operation_id="get_job")
def get_job(job_id: str, parts: Parts) -> JobOut:
    """One job."""
    with parts.database.read() as session:
        return job_out(session, jobs.get(session, job_id), parts.settings)


@router.patch("/{job_id}", operation_id="change_job")
def change_job(job_id: str, patch: JobPatch, parts: Parts, caller: Caller) -> JobOut:
    """Changes name, notes, labels and priority (a JSON merge patch: null removes a label); the priority only while it waits."""
    changes = {name: value for name in patch.model_fields_set if (value := getattr(patch, name)) is not None}
    with parts.database.write() as session:
        return job_out(session, edits.change(session, job_id, changes, actor=caller.id), parts.settings)


@router.delete("/{job_id}", operation_id="delete_job", status_code=204)
def delete_job(
    job_id: str,
    parts: Parts,
    caller: Caller,
    *,
    with_model: Annotated[bool, Query(description="The model that it made, and its files, too")] = False,
) -> None:
    """Deletes a job that has ended, with its attempts, events, metrics, log and checkpoint."""
    delete(parts, lambda session: edits.remove(session, job_id, actor=caller.id, with_model=with_model))
    parts.store.delete_under(f"checkpoints/{job_id}")


@router.get("/{job_id}/attempts", operation_id="list_job_attempts")
def list_job_attempts(job_id: str, parts: Parts) -> AttemptList:
    """The executions of a job, oldest first."""
    with parts.database.read() as session:
        jobs.get(session, job_id)
        return AttemptList(items=[AttemptOut.model_validate(attempt) for attempt in jobs.attempts(session, job_id)])


@router.get("/{job_id}/metrics", operation_id="get_job_metrics")
def get_job_metrics(
    job_id: str,
    parts: Parts,
    name: Annotated[list[str] | None, Query(description="Only the series of these names")] = None,
    max_points: Annotated[
        int, Query(ge=2, le=10_000, description="Of each series, spread evenly; the last is always there")
    ] = 1000,
) -> MetricsOut:
    """What was measured, step by step: loss terms, learning rate, accuracy."""
    series: dict[str, list[PointOut]] = {}
    with parts.database.read() as session:
        jobs.get(session, job_id)
        for row in jobs.metrics(session, job_id, names=name, max_points=max_points):
            series.setdefault(row.name, []).append(PointOut.model_validate(row))
    return MetricsOut(series=series)
