"""From rows to what clients see of them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from sqlalchemy.orm import Session

from api.schemas import AttemptOut, EstimateOut, EventOut, JobOut, JobPlan, JobState, PlanProblem, ProgressOut, ResourcesOut
from dlkd_core.spec import JobSpec
from registry import estimates, jobs, labels, offers, progress
from registry.errors import Unfit
from registry.requests import GIBIBYTE, JobRequest
from registry.settings import Settings
from registry.tables import Job, JobEvent

_BESIDE = {"attempts", "progress", "labels", "resources", "waiting_for"}
_JOB_FIELDS = set(JobOut.model_fields) - _BESIDE


def job_out(session: Session, job: Job, settings: Settings) -> JobOut:
    """A job with its attempts and labels."""
    return jobs_out(session, [job], settings)[0]


def jobs_out(session: Session, found: Sequence[Job], settings: Settings) -> list[JobOut]:
    """The same for several, with as many questions to the database as for one."""
    ids = [job.id for job in found]
    alive = timedelta(seconds=settings.patience_seconds)
    waits = offers.waiting_for(session, list(found), alive=alive)
    labelled = labels.of(session, ids)
    attempts: dict[str, list[AttemptOut]] = {job_id: [] for job_id in ids}
    for attempt in jobs.attempts(session, *ids):
        attempts[attempt.job_id].append(AttemptOut.model_validate(attempt))
    return [
        JobOut(
            **{name: getattr(job, name) for name in _JOB_FIELDS},
            progress=ProgressOut(**progress.public(job.progress)),
            attempts=attempts[job.id],
            labels=labelled[job.id],
            resources=_resources(job),
            waiting_for=waits.get(job.id),
        )
        for job in found
    ]


def _resources(job: Job) -> ResourcesOut:
    memory = None if job.memory_bytes is None else job.memory_bytes / GIBIBYTE
    return ResourcesOut(device=job.device, gpus=job.gpus, processes=job.processes, memory_gb=memory)


def plan_out(session: Session, request: JobRequest, found: Job | Unfit, settings: Settings) -> JobPlan:
    """What would become of a request: the job that it would be, or why it would be refused."""
    queue = offers.queue_of(request.resources.device)
    if isinstance(found, Unfit):
        problem = PlanProblem(pointer=found.pointer, code=found.code, message=found.message, hint=found.hint)
        spec = request.spec()
        return JobPlan(valid=False, status=None, queue=queue, spec=spec, problems=[problem], waiting_for=None, estimate=None)
    waits = offers.waiting_for(session, [found], alive=timedelta(seconds=settings.patience_seconds)).get(found.id)
    size = estimates.estimate(session, JobSpec.model_validate(found.spec))  # of inputs that the caller may see, as was checked
    return JobPlan(
        valid=True,
        status=cast("JobState", found.status),
        queue=queue,
        spec=found.spec,
        problems=[],
        waiting_for=waits,
        estimate=None if size is None else EstimateOut.model_validate(size),
    )


def event_out(event: JobEvent) -> EventOut:
    """An event under its number."""
    return EventOut(id=event.seq, type=event.type, at=event.at, attempt=event.attempt, data=event.data)
