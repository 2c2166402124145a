"""What teachers and data sets have in common: an uploaded file, and the job that checks it."""

from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from registry import lifecycle
from registry.db import now
from registry.ids import new_id
from registry.tables import Job

CHECKS = "checks"  # the queue of short checks
CHECK_ATTEMPTS = 3
PACKED_FILE = "packed.safetensors"
SAMPLES_FILE = "samples.webp"
CHECK_FILES = (PACKED_FILE, SAMPLES_FILE)  # what the check of a data set leaves
NAME_LENGTH = 255  # what the columns hold


class UploadStatus(StrEnum):
    VALIDATING = "validating"
    READY = "ready"
    INVALID = "invalid"


def add_check(session: Session, kind: str, *, owner: str, subject_id: str, inputs: dict[str, Any]) -> Job:
    """Queues the check of an upload; clients do not see these jobs."""
    job = Job(
        id=new_id("job"),
        kind=kind,
        owner=owner,
        name=f"check of {subject_id}",
        status=lifecycle.JobStatus.QUEUED,
        queue=CHECKS,
        priority=0,
        spec={},
        inputs=inputs,
        subject_id=subject_id,
        max_attempts=CHECK_ATTEMPTS,
        attempt=0,
        spent=0,
        last_event=0,
        progress={},
        created_at=now(session),
    )
    lifecycle.begin(session, job, actor=owner)
    return job
