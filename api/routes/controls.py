"""Jobs under control: cancelled, paused, resumed, tried again, cloned."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from sqlalchemy.orm import Session

from api.changes import Hints, change, described
from api.deps import Caller, Once, Parts, Services
from api.schemas import JobOut
from api.views import job_out
from dlkd_core.frozen import Frozen
from registry import clones, controls, jobs, quotas
from registry.keys import Principal
from registry.lifecycle import JobStatus
from registry.quotas import Limits
from registry.requests import JobRequest, Moment
from registry.tables import Job

PATH = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"])


class RetryForm(Frozen):
    """How to try again."""

    from_start: bool = Field(default=False, description="Forget the checkpoint and the metrics")
    deadline: Moment | None = Field(None, description="In place of the job's own; null: none")


@router.post("/{job_id}/cancel", operation_id="cancel_job", response_model=JobOut)
def cancel_job(
    job_id: str,
    parts: Parts,
    caller: Caller,
    key: Once = None,
    *,
    force: Annotated[bool, Query(description="At once, without time to save a checkpoint")] = False,
) -> Any:
    """Stops a job that waits at once; one that runs is `cancelling` until its worker has stopped."""
    request = described("cancel", job_id, force=force)
    return _control(parts, caller, key, request, lambda session: jobs.cancel(session, job_id, actor=caller.id, force=force))


@router.post("/{job_id}/pause", operation_id="pause_job", response_model=JobOut)
def pause_job(job_id: str, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Holds a queued job back at once; one that runs is `pausing` until its worker has saved a checkpoint and stopped."""
    request = described("pause", job_id)
    return _control(parts, caller, key, request, lambda session: controls.pause(session, job_id, actor=caller.id))


@router.post("/{job_id}/resume", operation_id="resume_job", response_model=JobOut)
def resume_job(job_id: str, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Queues a paused job, which goes on from its checkpoint."""
    request = described("resume", job_id)
    return _control(parts, caller, key, request, lambda session: controls.resume(session, job_id, actor=caller.id))


@router.post("/{job_id}/retry", operation_id="retry_job", response_model=JobOut)
def retry_job(job_id: str, parts: Parts, caller: Caller, form: RetryForm | None = None, key: Once = None) -> Any:
    """Tries a job again that failed, was cancelled or expired: new attempts, from its last checkpoint where there is one."""
    form = form or RetryForm()
    more_time: dict[str, datetime | None] = {"deadline": form.deadline} if "deadline" in form.model_fields_set else {}

    def retry(session: Session) -> Job:
        job = controls.retry(session, job_id, actor=caller.id, from_start=form.from_start, more_time=more_time)
        quotas.check_jobs(session, job.owner, Limits.of(parts.settings))
        return job

    return _control(parts, caller, key, described("retry", job_id, form=form.model_dump_json(exclude_unset=True)), retry)


@router.post("/{job_id}/clone", operation_id="clone_job", status_code=201, response_model=JobOut)
def clone_job(
    job_id: str,
    response: Response,
    parts: Parts,
    caller: Caller,
    patch: Annotated[
        dict[str, Any] | None,
        Body(description="JSON merge patch (RFC 7396) of the request; a method, student or teacher of another name replaces it"),
    ] = None,
    key: Once = None,
) -> Any:
    """Submits a new job after another one, with changes. The deadline is not taken over."""

    def clone(session: Session) -> Job:
        request = _request(clones.patched(clones.request_of(session, jobs.get(session, job_id)), patch or {}))
        job = jobs.submit(session, caller, request, max_attempts=parts.settings.max_attempts, cloned_from=job_id)
        quotas.check_jobs(session, job.owner, Limits.of(parts.settings))
        return job

    job = _control(parts, caller, key, described("clone", job_id, patch=patch or {}), clone)
    response.headers["Location"] = f"{PATH}/{job['id']}"
    return job


def _request(body: dict[str, Any]) -> JobRequest:
    """The patched request, held to the same rules as any; pointers lead into it."""
    try:
        return JobRequest.model_validate(body)
    except ValidationError as error:
        errors = [{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors()]
        raise RequestValidationError(errors, body=body) from error


def _control(parts: Services, caller: Principal, key: str | None, request: bytes, do: Callable[[Session], Job]) -> dict[str, Any]:
    def work(session: Session, hints: Hints) -> JobOut:
        job = do(session)
        session.flush()
        if job.status == JobStatus.QUEUED:
            hints.append((job.queue, job.id))
        return job_out(session, job, parts.settings)

    return change(parts, caller, key, request, work)
