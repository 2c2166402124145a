"""From rows to what clients see of them."""

from sqlalchemy.orm import Session

from api.schemas import AttemptOut, EventOut, FileOut, JobOut, ModelOut, ProgressOut
from registry import jobs, models, progress
from registry.tables import Job, JobEvent, Model, ModelFile

_JOB_FIELDS = set(JobOut.model_fields) - {"attempts", "progress"}
_MODEL_FIELDS = set(ModelOut.model_fields) - {"files"}
_FILE_FIELDS = set(FileOut.model_fields) - {"url"}


def job_out(session: Session, job: Job) -> JobOut:
    """A job with its attempts."""
    return JobOut(
        **{name: getattr(job, name) for name in _JOB_FIELDS},
        progress=ProgressOut(**progress.public(job.progress)),
        attempts=[AttemptOut.model_validate(attempt) for attempt in jobs.attempts(session, job.id)],
    )


def event_out(event: JobEvent) -> EventOut:
    """An event under its number."""
    return EventOut(id=event.seq, type=event.type, at=event.at, attempt=event.attempt, data=event.data)


def model_out(session: Session, model: Model) -> ModelOut:
    """A model with its files."""
    files = [file_out(row) for row in models.files(session, model.id)]
    return ModelOut(**{name: getattr(model, name) for name in _MODEL_FIELDS}, files=files)


def file_out(row: ModelFile) -> FileOut:
    """A model's file with its address."""
    facts = {name: getattr(row, name) for name in _FILE_FIELDS}
    return FileOut(**facts, url=f"/v1/models/{row.model_id}/files/{row.name}")
