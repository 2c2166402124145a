"""Conversion of database rows to their wire formats."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from api.schemas.job_schemas import (
    AttemptOut,
    JobOut,
    JobPlan,
    JobPlanProblem,
    ModelEstimateOut,
    ProgressOut,
    ResourcesOut,
)
from api.schemas.model_schemas import (
    ComparedClassOut,
    ComparedFileOut,
    ComparedModelOut,
    ComparisonOut,
    ModelFileOut,
    ModelOrigin,
    ModelOut,
)
from api.schemas.worker_schemas import DeviceOut, WorkerJobOut, WorkerOut
from dlkd_core.spec import JobSpec
from registry.access.permissions import Principal
from registry.attempts import progress
from registry.db.database import now
from registry.db.job_tables import Job
from registry.db.model_tables import Model, ModelFile
from registry.db.worker_tables import WorkerRow
from registry.errors import UnprocessableRequest
from registry.jobs import job_labels, queries, student_estimates
from registry.jobs.job_enums import JobKind
from registry.jobs.job_request import GIBIBYTE, JobRequest
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import queue_for_device, slot_kind
from registry.models import aliases, model_versions
from registry.models.comparison import Comparison
from registry.settings import Settings
from registry.workers import capacity, membership

_JOB_FIELDS = set(JobOut.model_fields) - {
    "attempts",
    "progress",
    "labels",
    "resources",
    "waiting_for",
}
_MODEL_FIELDS = set(ModelOut.model_fields) - {"files", "aliases", "tags", "origin", "warnings"}
_MODEL_FILE_FIELDS = set(ModelFileOut.model_fields) - {"url"}
_WORKER_FIELDS = set(WorkerOut.model_fields) - {"status", "busy", "devices", "jobs"}


def serialize_job(session: Session, job: Job, settings: Settings) -> JobOut:
    """Convert a job to its wire format, including its attempts and labels."""
    return serialize_jobs(session, [job], settings)[0]


def serialize_jobs(session: Session, jobs: Sequence[Job], settings: Settings) -> list[JobOut]:
    """Convert jobs to their wire format, using a fixed number of queries."""
    job_ids = [job.id for job in jobs]
    alive_within = timedelta(seconds=settings.liveness_seconds)
    waiting_for = capacity.explain_waiting(session, list(jobs), alive_within=alive_within)
    labels = job_labels.labels_by_job(session, job_ids)
    attempts: dict[str, list[AttemptOut]] = {job_id: [] for job_id in job_ids}
    for attempt in queries.list_attempts(session, *job_ids):
        attempts[attempt.job_id].append(AttemptOut.model_validate(attempt))
    return [
        JobOut(
            **{name: getattr(job, name) for name in _JOB_FIELDS},
            progress=ProgressOut(**progress.to_public(job.progress)),
            attempts=attempts[job.id],
            labels=labels[job.id],
            resources=ResourcesOut(
                device=job.device,
                gpus=job.gpus,
                processes=job.processes,
                memory_gb=None if job.memory_bytes is None else job.memory_bytes / GIBIBYTE,
            ),
            waiting_for=waiting_for.get(job.id),
        )
        for job in jobs
    ]


def serialize_job_plan(
    session: Session, request: JobRequest, outcome: Job | UnprocessableRequest, settings: Settings
) -> JobPlan:
    """Return the plan for a request: the job it would create, or why it would be rejected."""
    queue = queue_for_device(request.resources.device)
    if isinstance(outcome, UnprocessableRequest):
        problem = JobPlanProblem(
            pointer=outcome.pointer, code=outcome.code, message=outcome.message, hint=outcome.hint
        )
        return JobPlan(
            valid=False,
            status=None,
            queue=queue,
            spec=request.dump_spec(),
            problems=[problem],
            waiting_for=None,
            estimate=None,
        )
    alive_within = timedelta(seconds=settings.liveness_seconds)
    waiting_for = capacity.explain_waiting(session, [outcome], alive_within=alive_within)
    # Planning the job has already verified that the caller may see the job's inputs.
    estimate = student_estimates.estimate_student(session, JobSpec.model_validate(outcome.spec))
    return JobPlan(
        valid=True,
        status=JobStatus(outcome.status),
        queue=queue,
        spec=outcome.spec,
        problems=[],
        waiting_for=waiting_for.get(outcome.id),
        estimate=None if estimate is None else ModelEstimateOut.model_validate(estimate),
    )


def serialize_model(session: Session, model: Model) -> ModelOut:
    """Convert a model to its wire format, including its files, aliases and tags."""
    return serialize_models(session, [model])[0]


def serialize_models(session: Session, models: Sequence[Model]) -> list[ModelOut]:
    """Convert models to their wire format, using a fixed number of queries."""
    model_ids = [model.id for model in models]
    aliases_by_model = aliases.aliases_by_model(session, model_ids)
    tags_by_model = model_versions.tags_by_model(session, model_ids)
    files: dict[str, list[ModelFileOut]] = {model_id: [] for model_id in model_ids}
    for file in model_versions.list_files(session, *model_ids):
        files[file.model_id].append(serialize_model_file(file))
    return [
        ModelOut(
            **{name: getattr(model, name) for name in _MODEL_FIELDS},
            origin=ModelOrigin.DISTILLED if model.imported is None else ModelOrigin.IMPORTED,
            warnings=model.report.get("warnings") or [],
            files=files[model.id],
            aliases=aliases_by_model[model.id],
            tags=tags_by_model[model.id],
        )
        for model in models
    ]


def serialize_model_file(file: ModelFile) -> ModelFileOut:
    """Convert a model file to its wire format, including its URL path."""
    fields = {name: getattr(file, name) for name in _MODEL_FILE_FIELDS}
    return ModelFileOut(**fields, url=f"/v1/models/{file.model_id}/files/{file.name}")


def serialize_comparison(comparison: Comparison) -> ComparisonOut:
    """Convert a comparison to its wire format, including the accuracy per class."""
    return ComparisonOut(
        models=[
            ComparedModelOut(
                id=compared.model.id,
                name=compared.model.name,
                version=compared.model.version,
                architecture=compared.model.architecture,
                numbers=compared.numbers,
                files=[ComparedFileOut.model_validate(file) for file in compared.files],
                against_first=compared.against_first,
                against_teacher=compared.against_teacher,
            )
            for compared in comparison.models
        ],
        classes=[ComparedClassOut.model_validate(row) for row in comparison.classes],
    )


def serialize_workers(
    session: Session, workers: Sequence[WorkerRow], settings: Settings, caller: Principal
) -> list[WorkerOut]:
    """Convert workers to their wire format, including the jobs that the caller may see."""
    held_jobs = membership.list_held_jobs(session, [worker.id for worker in workers])
    at, within = now(session), timedelta(seconds=settings.liveness_seconds)
    return [
        _serialize_worker(
            worker,
            membership.get_state(worker, at, within=within),
            [job for job in held_jobs if job.worker_id == worker.id],
            caller,
        )
        for worker in workers
    ]


def _serialize_worker(
    worker: WorkerRow,
    status: membership.WorkerState,
    jobs: Sequence[membership.HeldJob],
    caller: Principal,
) -> WorkerOut:
    busy = Counter(dict.fromkeys(worker.slots, 0))
    for job in jobs:
        busy[slot_kind(job.queue)] += job.slots
    visible_jobs = [
        job
        for job in jobs
        if job.kind == JobKind.DISTILL and caller.visible_owner in {None, job.owner}
    ]
    return WorkerOut(
        **{name: getattr(worker, name) for name in _WORKER_FIELDS},
        status=status,
        busy=busy,
        # Workers report devices as JSON, which may lack fields.
        devices=[
            DeviceOut.model_validate({name: device.get(name) for name in DeviceOut.model_fields})
            for device in worker.devices
        ],
        jobs=[WorkerJobOut.model_validate(job) for job in visible_jobs],
    )
