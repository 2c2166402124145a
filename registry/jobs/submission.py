"""Submission of jobs, and their queueing once their inputs have been checked."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from dlkd_core.spec import JobSpec
from registry.access.permissions import Principal
from registry.db.database import now
from registry.db.ids import new_id
from registry.db.job_tables import Job
from registry.errors import UnprocessableRequest
from registry.inputs import input_resolution
from registry.jobs import deadlines, job_labels, lifecycle, retry_policy
from registry.jobs.job_enums import JobKind
from registry.jobs.job_request import JobRequest
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import queue_for_device


def submit(
    session: Session,
    principal: Principal,
    request: JobRequest,
    *,
    max_attempts: int = 3,
    cloned_from: str | None = None,
) -> Job:
    """Create a job. It is `validating` until its inputs have passed their checks.

    If they have already passed, the job is queued at once.

    Raises:
        UnprocessableRequest: The job can never run, for example because an input is invalid.
    """
    job = plan(session, request, visible_owner=principal.visible_owner, owner=principal.owner)
    job.owner, job.max_attempts, job.cloned_from = principal.owner, max_attempts, cloned_from
    lifecycle.add_job(session, job, actor=principal.id)
    job_labels.set_labels(session, job.id, request.labels)
    return job


def plan(
    session: Session, request: JobRequest, *, visible_owner: str | None = None, owner: str = ""
) -> Job:
    """Return the job that the request would create. It has no owner and is not stored.

    Args:
        session: The session to read from.
        request: The job request.
        visible_owner: The only owner whose inputs the job may use, or None for all owners.
        owner: The owner whose models are searched for the model names in the request.

    Raises:
        UnprocessableRequest: The job can never run, for example because an input is invalid.
    """
    at = now(session)
    deadlines.check(request.deadline, at)
    request = input_resolution.resolve_model_name(session, request, owner)
    inputs = input_resolution.resolve(session, request, visible_owner=visible_owner)
    return Job(
        id=new_id("job"),
        kind=JobKind.DISTILL,
        name=request.name,
        status=JobStatus.VALIDATING if inputs is None else JobStatus.QUEUED,
        spec=request.dump_spec(),
        inputs=inputs,
        teacher_id=request.teacher.id if request.teacher else None,
        teacher_model_id=request.teacher.model_id if request.teacher else None,
        dataset_id=request.dataset.id,
        method=request.method.name,
        student=request.student.architecture,
        attempt=0,
        spent=0,
        stalled=0,
        forced=False,
        last_event=0,
        last_log=0,
        progress={},
        created_at=at,
        queue=queue_for_device(request.resources.device),
        priority=request.priority,
        notes=request.notes,
        model_name=request.model_name,
        device=request.resources.device,
        gpus=request.resources.gpus,
        processes=request.resources.processes,
        memory_bytes=request.memory_bytes(),
        deadline=request.deadline,
        expires_at=request.deadline,
        max_seconds=request.max_seconds,
    )


def promote(session: Session, subject_id: str | None = None) -> list[Job]:
    """Queue validating jobs whose inputs have passed their checks.

    Jobs with an invalid input fail. Jobs with an input that is still being checked are left alone.

    Args:
        session: The caller's transaction.
        subject_id: Consider only jobs that train with this teacher or dataset. Jobs that merely
            evaluate on the dataset are not included. They are promoted when the dispatcher calls
            this function for all jobs.

    Returns:
        The jobs that were queued. The caller notifies workers of them.
    """
    validating = select(Job).where(Job.kind == JobKind.DISTILL, Job.status == JobStatus.VALIDATING)
    if subject_id is not None:
        validating = validating.where(
            or_(Job.teacher_id == subject_id, Job.dataset_id == subject_id)
        )
    locked = validating.order_by(Job.id).with_for_update(skip_locked=True)
    return [job for job in session.execute(locked).scalars().all() if _queue_if_ready(session, job)]


def _queue_if_ready(session: Session, job: Job) -> bool:
    try:
        job.inputs = input_resolution.resolve(session, JobSpec.model_validate(job.spec))
    except UnprocessableRequest as exception:
        error = retry_policy.classify(exception.to_dict())
        lifecycle.set_error(job, error)
        lifecycle.transition(session, job, JobStatus.FAILED, actor="registry", error=error)
        return False
    if job.inputs is None:
        return False
    lifecycle.transition(session, job, JobStatus.QUEUED, actor="registry")
    return True
