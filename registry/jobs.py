"""Jobs as their clients see them: submitted, looked at, cancelled. `claims` is the worker's side of the same rows."""

from sqlalchemy import Row, func, or_, select
from sqlalchemy.orm import Session

from dlkd_core.spec import JobSpec
from registry import deadlines, failures, inputs, labels, lifecycle, offers
from registry.db import now
from registry.errors import JobEnded, NotFound, Unfit
from registry.ids import new_id
from registry.keys import Principal
from registry.lifecycle import JobStatus
from registry.requests import JobRequest
from registry.tables import Attempt, Job, JobEvent, Metric

DISTILL = "distill"


def submit(
    session: Session, principal: Principal, request: JobRequest, *, max_attempts: int = 3, cloned_from: str | None = None
) -> Job:
    """Takes a job in: queued where its inputs are ready, else validating until their checks are done.

    Raises an `Unfit` where it is certain that the job cannot run.
    """
    job = plan(session, request, visible=principal.visible, owner=principal.owner)
    job.owner, job.max_attempts, job.cloned_from = principal.owner, max_attempts, cloned_from
    lifecycle.begin(session, job, actor=principal.id)
    labels.put(session, job.id, request.labels)
    return job


def plan(session: Session, request: JobRequest, *, visible: str | None = None, owner: str = "") -> Job:
    """The job that the request would become; it belongs to nobody yet, and nothing is written.

    `visible` is the only owner whose inputs it may name; None: any. Names of models are those of `owner`.
    """
    at = now(session)
    deadlines.check(request.deadline, at)
    request = inputs.settle_names(session, request, owner)
    facts = inputs.resolve(session, request, visible=visible)
    return Job(
        id=new_id("job"),
        kind=DISTILL,
        name=request.name,
        status=JobStatus.VALIDATING if facts is None else JobStatus.QUEUED,
        spec=request.spec(),
        inputs=facts,
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
        **_envelope(request),
    )


def _envelope(request: JobRequest) -> dict[str, object]:
    return {
        "queue": offers.queue_of(request.resources.device),
        "priority": request.priority,
        "notes": request.notes,
        "model_name": request.model_name,
        "device": request.resources.device,
        "gpus": request.resources.gpus,
        "processes": request.resources.processes,
        "memory_bytes": request.memory_bytes(),
        "deadline": request.deadline,
        "expires_at": request.deadline,
        "max_seconds": request.max_seconds,
    }


def promote(session: Session, subject_id: str | None = None) -> list[Job]:
    """Looks again at the jobs that wait for checks (of one upload, or all): they are queued, failed, or wait on.

    Of one upload: as their teacher or data set. Those that are only measured on it are among all, at the next sweep.

    Returns those that are queued now, for their hints.
    """
    waiting = select(Job).where(Job.kind == DISTILL, Job.status == JobStatus.VALIDATING)
    if subject_id is not None:
        waiting = waiting.where(or_(Job.teacher_id == subject_id, Job.dataset_id == subject_id))
    rows = session.execute(waiting.order_by(Job.id).with_for_update(skip_locked=True)).scalars().all()
    return [job for job in rows if _settle(session, job)]


def _settle(session: Session, job: Job) -> bool:
    try:
        job.inputs = inputs.resolve(session, JobSpec.model_validate(job.spec))
    except Unfit as error:
        facts = failures.classed(error.facts())
        job.error = {**facts, "attempt": job.attempt, "log": []}
        lifecycle.move(session, job, JobStatus.FAILED, actor="registry", error=facts)
        return False
    if job.inputs is None:
        return False
    lifecycle.move(session, job, JobStatus.QUEUED, actor="registry")
    return True


def get(session: Session, job_id: str) -> Job:
    """The job of that id, or `NotFound`. Checks of uploads are not for clients."""
    job = session.get(Job, job_id)
    if job is None or job.kind != DISTILL:
        raise NotFound(f"There is no job {job_id}.")
    return job


def locked(session: Session, job_id: str) -> Job:
    """The same, and nobody else changes it before the transaction ends."""
    mine = select(Job).where(Job.id == job_id, Job.kind == DISTILL).with_for_update().execution_options(populate_existing=True)
    job = session.execute(mine).scalar_one_or_none()
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def cancel(session: Session, job_id: str, *, actor: str, force: bool = False) -> Job:
    """Cancels a job that waits at once; tells the worker of one that runs, which saves a checkpoint first unless forced.

    Twice is once; `JobEnded` after another end.
    """
    job = locked(session, job_id)
    status = JobStatus(job.status)
    if status in lifecycle.TERMINAL - {JobStatus.CANCELLED}:
        raise JobEnded(f"The job {job_id} has already {status}.")
    job.forced = job.forced or (force and status in lifecycle.LEASED)
    if status not in {JobStatus.CANCELLED, JobStatus.CANCELLING}:
        to = JobStatus.CANCELLED if status in lifecycle.WAITING else JobStatus.CANCELLING
        lifecycle.move(session, job, to, actor=actor, **({"force": True} if force else {}))
    return job


def attempts(session: Session, *job_ids: str) -> list[Attempt]:
    """The executions of the jobs, oldest first."""
    query = select(Attempt).where(Attempt.job_id.in_(job_ids)).order_by(Attempt.job_id, Attempt.number)
    return list(session.execute(query).scalars())


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 100) -> list[JobEvent]:
    """What happened after the event of that number, oldest first."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > after).order_by(JobEvent.seq)
    return list(session.execute(query.limit(max(1, min(limit, 1000)))).scalars())


def metrics(
    session: Session, job_id: str, *, names: list[str] | None = None, max_points: int = 1000
) -> list[Row[str, int, int, int, float | None]]:
    """Rows (name, step, epoch, attempt, value), each series by step and thinned evenly to `max_points`, its last point kept."""
    place = func.row_number().over(partition_by=Metric.name, order_by=Metric.step)
    length = func.count().over(partition_by=Metric.name)
    numbered = select(
        Metric.name, Metric.step, Metric.epoch, Metric.attempt, Metric.value, place.label("place"), length.label("length")
    ).where(Metric.job_id == job_id)
    if names:
        numbered = numbered.where(Metric.name.in_(names))
    points = numbered.subquery()
    wanted = max(max_points, 2)
    stride = (points.c.length + wanted - 2) // (wanted - 1)
    kept = or_((points.c.place - 1) % stride == 0, points.c.place == points.c.length)
    columns = (points.c.name, points.c.step, points.c.epoch, points.c.attempt, points.c.value)
    return list(session.execute(select(*columns).where(kept).order_by(points.c.name, points.c.step)).all())
