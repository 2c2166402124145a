"""Kinds of jobs, outcomes of attempts and types of events, with their stored values."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does: a training run, or the check of an upload."""

    DISTILL = "distill"
    CHECK_TEACHER = "check_teacher"
    CHECK_DATASET = "check_dataset"
    CHECK_MODEL = "check_model"


class AttemptOutcome(StrEnum):
    """The status of an attempt: running, or how it ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"  # the worker stopped renewing its lease
    CANCELLED = "cancelled"
    PAUSED = "paused"
    EXPIRED = "expired"
    RETURNED = "returned"  # the worker gave the job back, for example to shut down


class JobEventType(StrEnum):
    """Types of events that the registry itself writes. Workers write further types."""

    STATUS = "status"
    CHECKPOINT = "checkpoint"
    CHANGED = "changed"
