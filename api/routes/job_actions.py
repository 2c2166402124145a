"""Actions on jobs: cancel, pause, resume, retry and clone."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, ServicesDep
from api.problems import validate_body
from api.responses import with_location
from api.routes.jobs import PATH, run_job_action, submit_job
from api.schemas.job_schemas import JobOut
from api.transactions import fingerprint
from dlkd_core.common import FrozenModel
from registry.access import quotas
from registry.db.job_tables import Job
from registry.jobs import clones, controls, queries
from registry.jobs.job_request import JobRequest, UtcDatetime

router = APIRouter(prefix=PATH, tags=["jobs"])


class RetryRequest(FrozenModel):
    """Options for retrying a job."""

    from_start: bool = Field(
        default=False,
        description="Discard the checkpoint and the metrics, and start again from the beginning.",
    )
    deadline: UtcDatetime | None = Field(
        None, description="New deadline. Null removes it. If omitted, the deadline does not change."
    )


@router.post("/{job_id}/cancel", operation_id="cancel_job", response_model=JobOut)
def cancel_job(
    job_id: str,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
    *,
    force: Annotated[
        bool, Query(description="Stop immediately, without saving a checkpoint.")
    ] = False,
) -> Any:
    """Cancel a job.

    A waiting job is canceled immediately. A running job has the status `cancelling` until its
    worker has stopped it.
    """
    return run_job_action(
        services,
        caller,
        idempotency_key,
        fingerprint("cancel", job_id, force=force),
        lambda session: controls.cancel(session, job_id, actor=caller.id, force=force),
    )


@router.post("/{job_id}/pause", operation_id="pause_job", response_model=JobOut)
def pause_job(
    job_id: str, services: ServicesDep, caller: Caller, idempotency_key: IdempotencyKey = None
) -> Any:
    """Pause a job.

    A queued job is paused immediately. A running job has the status `pausing` until its worker has
    saved a checkpoint and stopped it.
    """
    return run_job_action(
        services,
        caller,
        idempotency_key,
        fingerprint("pause", job_id),
        lambda session: controls.pause(session, job_id, actor=caller.id),
    )


@router.post("/{job_id}/resume", operation_id="resume_job", response_model=JobOut)
def resume_job(
    job_id: str, services: ServicesDep, caller: Caller, idempotency_key: IdempotencyKey = None
) -> Any:
    """Queue a paused job. It continues from its checkpoint."""
    return run_job_action(
        services,
        caller,
        idempotency_key,
        fingerprint("resume", job_id),
        lambda session: controls.resume(session, job_id, actor=caller.id),
    )


@router.post("/{job_id}/retry", operation_id="retry_job", response_model=JobOut)
def retry_job(
    job_id: str,
    services: ServicesDep,
    caller: Caller,
    body: RetryRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Retry a failed, canceled or expired job.

    The full number of attempts is available again. The job continues from its last checkpoint, if
    it has one.
    """
    body = body or RetryRequest()
    overrides = body.model_dump(include={"deadline"}, exclude_unset=True)

    def retry(session: Session) -> Job:
        job = controls.retry(
            session, job_id, actor=caller.id, from_start=body.from_start, overrides=overrides
        )
        quotas.check_jobs(session, job.owner, services.default_quotas)
        return job

    return run_job_action(
        services,
        caller,
        idempotency_key,
        fingerprint("retry", job_id, form=body.model_dump_json(exclude_unset=True)),
        retry,
    )


@router.post("/{job_id}/clone", operation_id="clone_job", status_code=201, response_model=JobOut)
def clone_job(
    job_id: str,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    patch: Annotated[
        dict[str, Any] | None,
        Body(
            description="JSON merge patch (RFC 7396) to apply to the original request. If it "
            "selects another method, student or teacher, the original one is replaced as a whole, "
            "including its parameters."
        ),
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Submit a copy of a job with changes. The deadline is not copied."""

    def clone(session: Session) -> Job:
        original = clones.rebuild_request(session, queries.get(session, job_id))
        request = validate_body(JobRequest, clones.apply_merge_patch(original, patch or {}))
        return submit_job(session, services, caller, request, cloned_from=job_id)

    job = run_job_action(
        services, caller, idempotency_key, fingerprint("clone", job_id, patch=patch or {}), clone
    )
    return with_location(response, PATH, job)
