"""Ends attempts and applies their results to the job or, for a check, to the checked upload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from dlkd_core.errors import CheckpointCorrupt
from registry.access import quotas
from registry.attempts import trainer_logs
from registry.db.database import now
from registry.db.input_tables import Dataset, Teacher
from registry.db.job_tables import Attempt, Job
from registry.db.model_tables import Model
from registry.inputs import datasets, teachers
from registry.jobs import deadlines, lifecycle, retry_policy, submission
from registry.jobs.job_enums import AttemptOutcome, JobKind
from registry.jobs.lifecycle import JobStatus
from registry.models import import_checks
from registry.storage.object_store import StoredFile
from registry.uploads.upload_check_jobs import UploadStatus

LOG_TAIL_LINES = 100
MAX_RETRY_DELAY = timedelta(minutes=10)
# Maps the status of a job that a client has asked to stop to the outcome of its attempt and to the
# job's next status.
STOP_OUTCOMES = {
    JobStatus.CANCELLING: (AttemptOutcome.CANCELLED, JobStatus.CANCELLED),
    JobStatus.PAUSING: (AttemptOutcome.PAUSED, JobStatus.PAUSED),
}


@dataclass(frozen=True)
class PostCommitWork:
    """Work that the caller must do after the commit.

    Attributes:
        hints: Queue messages to send, as (queue, job id).
        orphaned_digests: Digests of files to delete if no row references them any more.
    """

    hints: list[tuple[str, str]] = field(default_factory=list)
    orphaned_digests: list[str] = field(default_factory=list)


def end_attempt(
    session: Session,
    job: Job,
    outcome: AttemptOutcome,
    *,
    to: JobStatus,
    error: dict[str, Any] | None = None,
    **event_data: Any,
) -> None:
    """Close the running attempt and move the job to its next status."""
    actor = job.worker_id or "registry"
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    at = now(session)
    attempt.status, attempt.error, attempt.finished_at = outcome, error, at
    quotas.add_device_seconds(session, job, attempt, at)
    if error is not None:
        event_data["error"] = error
    lifecycle.transition(
        session, job, to, actor=actor, attempt=job.attempt, outcome=outcome, **event_data
    )


def expire_attempt(session: Session, job: Job) -> None:
    """End the attempt and the job as expired, or as canceled if a client has canceled the job."""
    if job.status == JobStatus.CANCELLING:
        end_attempt(session, job, AttemptOutcome.CANCELLED, to=JobStatus.CANCELLED)
        return
    error = deadlines.expiry_error(job)
    _set_job_error(session, job, error)
    end_attempt(session, job, AttemptOutcome.EXPIRED, to=JobStatus.EXPIRED, error=error)


def fail_attempt(
    session: Session,
    job: Job,
    error: dict[str, Any],
    *,
    log_tail: Sequence[str],
    retry_after: timedelta,
    outcome: AttemptOutcome = AttemptOutcome.FAILED,
) -> PostCommitWork:
    """End the attempt with an error.

    The job is queued again if another attempt may help and the job has attempts left.
    """
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    error = retry_policy.classify(error)
    attempt.log_tail = list(log_tail)[-LOG_TAIL_LINES:] or _read_log_tail(session, job)
    if job.status == JobStatus.CANCELLING:
        end_attempt(session, job, AttemptOutcome.CANCELLED, to=JobStatus.CANCELLED, error=error)
        return PostCommitWork()
    retry_policy.count_failure(job, attempt, error)
    if error["code"] == CheckpointCorrupt.code:
        # Without a checkpoint, the next attempt starts from the beginning.
        job.checkpoint_key = job.checkpoint_step = None
    final_error = retry_policy.final_error(job, error)
    if final_error is not None:
        _set_job_error(session, job, final_error)
        end_attempt(session, job, outcome, to=JobStatus.FAILED, error=final_error)
        return fail_check(session, job, final_error)
    if deadlines.is_expired(job, now(session)):
        expire_attempt(session, job)
        return PostCommitWork()
    to = JobStatus.PAUSED if job.status == JobStatus.PAUSING else JobStatus.QUEUED
    end_attempt(session, job, outcome, to=to, error=error)
    job.not_before = now(session) + min(retry_after * 2 ** max(job.spent - 1, 0), MAX_RETRY_DELAY)
    return PostCommitWork()


def _set_job_error(session: Session, job: Job, error: dict[str, Any]) -> None:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    if attempt.log_tail is None:
        attempt.log_tail = _read_log_tail(session, job)
    lifecycle.set_error(job, error, log=attempt.log_tail)


def _read_log_tail(session: Session, job: Job) -> list[str]:
    lines = trainer_logs.list_last_lines(session, job.id, LOG_TAIL_LINES, attempt=job.attempt)
    return [row.line for row in lines]


def complete_check(
    session: Session, job: Job, report: dict[str, Any], files: Mapping[str, StoredFile]
) -> PostCommitWork:
    """Record the result of a check that passed."""
    subject = _load_checked_row(session, job)
    if isinstance(subject, Dataset):
        datasets.set_ready(subject, report, files)
    elif isinstance(subject, Teacher):
        teachers.set_ready(subject, report)
    elif isinstance(subject, Model):
        import_checks.mark_passed(subject, report)
    session.flush()
    return PostCommitWork(hints=_promote_waiting_jobs(session, job.subject_id))


def fail_check(session: Session, job: Job, error: dict[str, Any]) -> PostCommitWork:
    """Record the result of a failed check that will not be retried.

    Has no effect on training jobs.
    """
    subject = _load_checked_row(session, job)
    if subject is None:
        return PostCommitWork()
    public_error = {name: error.get(name) for name in ("code", "message", "hint")}
    if isinstance(subject, Model):
        import_checks.mark_failed(subject, public_error)
        return PostCommitWork()
    # The row stays. The caller deletes its file after the commit.
    subject.status, subject.error = UploadStatus.INVALID, public_error
    session.flush()
    return PostCommitWork(
        hints=_promote_waiting_jobs(session, job.subject_id), orphaned_digests=[subject.sha256]
    )


def _load_checked_row(session: Session, job: Job) -> Dataset | Teacher | Model | None:
    match job.kind:
        case JobKind.CHECK_DATASET:
            return session.get_one(Dataset, job.subject_id)
        case JobKind.CHECK_TEACHER:
            return session.get_one(Teacher, job.subject_id)
        case JobKind.CHECK_MODEL:
            # The model may have been deleted in the meantime.
            return session.get(Model, job.subject_id)
    return None


def _promote_waiting_jobs(session: Session, subject_id: str | None) -> list[tuple[str, str]]:
    return [(job.queue, job.id) for job in submission.promote(session, subject_id)]
