"""The result of a trainer process, as recorded by its supervisor."""

import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dlkd_core.events import FileExported


class ResultKind(StrEnum):
    """How a trainer ended. The metric `dlkd_worker_attempts` uses these values as `outcome`."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETURNED = "returned"  # stopped because of a pause or because this worker is shutting down
    LOST = "lost"  # the lease is gone: another worker may have the job


@dataclass(frozen=True)
class TrainerResult:
    """How a trainer ended.

    `report` and `files` are set if the trainer finished its job, and `error` is set if it failed.
    """

    kind: ResultKind
    report: dict[str, Any] = field(default_factory=dict)
    files: tuple[FileExported, ...] = ()
    error: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


def make_failure(
    code: str, message: str, hint: str, *, log: list[str], retryable: bool = True
) -> TrainerResult:
    """Build a failed result for an error that the trainer itself did not report."""
    return TrainerResult(
        ResultKind.FAILED,
        error={"code": code, "message": message, "hint": hint, "retryable": retryable},
        log=log,
    )


def make_crash(exit_status: int, log: list[str]) -> TrainerResult:
    """Build the result of a trainer that exited without a final event.

    `exit_status` is negative if a signal ended the process.
    """
    if exit_status >= 0:
        return make_failure(
            "trainer_died",
            f"The trainer process exited with status {exit_status}.",
            "See the job's log for the reason.",
            log=log,
        )
    number = signal.Signals(-exit_status)
    hint = {
        signal.SIGKILL: (
            "The machine probably ran out of memory. Lower training.batch_size, or give the worker "
            "more memory."
        ),
        signal.SIGSEGV: "A library crashed. See the job's log, and check the machine's drivers.",
    }.get(number, "Something outside the service ended the process.")
    return make_failure(
        "trainer_died", f"The trainer process was terminated by {number.name}.", hint, log=log
    )


def make_worker_error(error: Exception, log: list[str]) -> TrainerResult:
    """Build the result for an error in the worker itself, such as a full disk or missing file."""
    return make_failure(
        "worker_error",
        f"{type(error).__name__}: {error}"[:1000],
        "See the worker's log for details.",
        log=log,
    )
