"""Jobs as their clients see them: submitted, looked at, cancelled. `claims` is the worker's side of the same rows."""

from sqlalchemy import Row, func, or_, select
from sqlalchemy.orm import Session

from dlkd_core.spec import JobSpec
from registry import inputs, lifecycle, paging
from registry.db import now
from registry.errors import JobEnded, NotFound, Unfit
from registry.ids import new_id
from registry.keys import Principal
from registry.lifecycle import JobStatus
from registry.tables import Attempt, Job, JobEvent, Metric

DISTILL = "distill"
TRAIN = "train"  # the queue of training jobs


def submit(session: Session, principal: Principal, spec: JobSpec, *, priority: int = 0, max_attempts: int = 3) -> Job:
    """Takes a job in: queued where its inputs are ready, else validating until their checks are done.

    Raises an `Unfit` where it is certain that the job cannot run.
    """
    facts = inputs.resolve(session, spec)
    job = Job(
        id=new_id("job"),
        kind=DISTILL,
        owner=principal.id,
        name=spec.name,
        status=JobStatus.VALIDATING if facts is None else JobStatus.QUEUED,
        queue=TRAIN,
        priority=priority,
        spec=spec.model_dump(mode="json"),
        inputs=facts,
        teacher_id=spec.teacher.id if spec.teacher else None,
        teacher_model_id=spec.teacher.model_id if spec.teacher else None,
        dataset_id=spec.dataset.id,
        attempt=0,
        spent=0,
        max_attempts=max_attempts,
        last_event=0,
        progress={},
        created_at=now(session),
    )
    lifecycle.begin(session, job, actor=principal.id)
    return job


def promote(session: Session, subject_id: str | None = None) -> list[Job]:
    """Looks again at the jobs that wait for checks (of one upload, or all): they are queued, failed, or wait on.

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
        job.error = error.facts()
        lifecycle.move(session, job, JobStatus.FAILED, actor="registry", error=error.facts())
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


def page(session: Session, *, status: JobStatus | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[Job]:
    """Jobs, newest first; those in one state where it is given."""
    query = select(Job).where(Job.kind == DISTILL)
    if status is not None:
        query = query.where(Job.status == status)
    return paging.page_of(session, query, Job.id, limit=limit, cursor=cursor)


def cancel(session: Session, job_id: str, *, actor: str) -> Job:
    """Cancels a job that waits at once; tells the worker of one that runs. Twice is once; `JobEnded` after the end."""
    mine = select(Job).where(Job.id == job_id, Job.kind == DISTILL).with_for_update().execution_options(populate_existing=True)
    job = session.execute(mine).scalar_one_or_none()
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    status = JobStatus(job.status)
    if status in {JobStatus.CANCELLED, JobStatus.CANCELLING}:
        return job
    if status in lifecycle.TERMINAL:
        raise JobEnded(f"The job {job_id} has already {status}.")
    to = JobStatus.CANCELLED if status in lifecycle.WAITING else JobStatus.CANCELLING
    lifecycle.move(session, job, to, actor=actor)
    return job


def attempts(session: Session, job_id: str) -> list[Attempt]:
    """The job's executions, oldest first."""
    return list(session.execute(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)).scalars())


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
