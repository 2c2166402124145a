"""Check jobs: jobs that check uploads before other jobs may use them."""

from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from registry.db.database import now
from registry.db.ids import new_id
from registry.db.job_tables import Job
from registry.jobs import lifecycle
from registry.jobs.job_enums import JobKind
from registry.jobs.queue_names import QueueName

MAX_CHECK_ATTEMPTS = 3
PACKED_FILE = "packed.safetensors"
SAMPLES_FILE = "samples.webp"
EXAMPLES_FILE = "examples.webp"
# Files that a dataset check produces. There are no examples if the check found nothing to show.
CHECK_FILES = (PACKED_FILE, SAMPLES_FILE, EXAMPLES_FILE)


class UploadStatus(StrEnum):
    VALIDATING = "validating"
    READY = "ready"
    INVALID = "invalid"


def add_check(
    session: Session, kind: JobKind, *, owner: str, subject_id: str, inputs: dict[str, Any]
) -> Job:
    """Queue a check job for an upload. The API does not show check jobs to clients."""
    job = Job(
        id=new_id("job"),
        kind=kind,
        owner=owner,
        name=f"check of {subject_id}",
        status=lifecycle.JobStatus.QUEUED,
        queue=QueueName.CHECKS,
        priority=0,
        spec={},
        inputs=inputs,
        subject_id=subject_id,
        max_attempts=MAX_CHECK_ATTEMPTS,
        attempt=0,
        spent=0,
        last_event=0,
        progress={},
        created_at=now(session),
    )
    lifecycle.add_job(session, job, actor=owner)
    return job
