"""Jobs: submitted, looked at, cancelled."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from api.changes import Hints, change
from api.deps import Caller, Cursor, Limit, Once, Parts
from api.schemas import JobOut, JobState, MetricsOut, Page, PointOut
from api.views import job_out
from dlkd_core.spec import JobSpec
from registry import jobs
from registry.lifecycle import JobStatus

PATH = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"])


@router.post("", operation_id="create_job", status_code=201, response_model=JobOut)
def create_job(spec: JobSpec, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Takes in a job: `validating` while its inputs are checked, then `queued`."""

    def submit(session: Session, hints: Hints) -> JobOut:
        job = jobs.submit(session, caller, spec, max_attempts=parts.settings.max_attempts)
        if job.status == JobStatus.QUEUED:
            hints.append((job.queue, job.id))
        return job_out(session, job)

    job = change(parts, caller, key, PATH.encode() + spec.model_dump_json().encode(), submit)
    response.headers["Location"] = f"{PATH}/{job['id']}"
    return job


@router.get("", operation_id="list_jobs")
def list_jobs(parts: Parts, limit: Limit = 50, cursor: Cursor = None, status: JobState | None = None) -> Page[JobOut]:
    """Jobs, newest first; those in one state with `status`."""
    with parts.database.read() as session:
        page = jobs.page(session, status=JobStatus(status) if status else None, limit=limit, cursor=cursor)
        return Page[JobOut](items=[job_out(session, job) for job in page.items], next_cursor=page.next_cursor)


@router.get("/{job_id}", operation_id="get_job")
def get_job(job_id: str, parts: Parts) -> JobOut:
    """One job."""
    with parts.database.read() as session:
        return job_out(session, jobs.get(session, job_id))


@router.post("/{job_id}/cancel", operation_id="cancel_job")
def cancel_job(job_id: str, parts: Parts, caller: Caller) -> JobOut:
    """Stops a job that waits at once; one that runs is `cancelling` until its worker has stopped."""
    with parts.database.write() as session:
        return job_out(session, jobs.cancel(session, job_id, actor=caller.id))


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
