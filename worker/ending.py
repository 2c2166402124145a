"""How an attempt ended, as its supervisor sees it."""

import signal
from dataclasses import dataclass, field
from typing import Any, Literal

from dlkd_core.events import FileExported


@dataclass(frozen=True)
class Ending:
    """`lost`: another worker may have the job by now. `returned`: for a pause, or because this worker shuts down."""

    kind: Literal["finished", "failed", "cancelled", "expired", "returned", "lost"]
    report: dict[str, Any] = field(default_factory=dict)
    files: tuple[FileExported, ...] = ()
    error: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


def failed(code: str, message: str, hint: str, *, log: list[str], retryable: bool = True) -> Ending:
    """An ending with an error that the trainer did not tell itself."""
    return Ending("failed", error={"code": code, "message": message, "hint": hint, "retryable": retryable}, log=log)


def died(status: int, log: list[str]) -> Ending:
    """The trainer ended without a last word; `status` is negative for a signal."""
    if status >= 0:
        return failed("trainer_died", f"The trainer ended with status {status}.", "Its log may say why.", log=log)
    name = signal.Signals(-status).name
    hint = {
        signal.SIGKILL: "The machine probably ran out of memory: lower training.batch_size, or give the worker more memory.",
        signal.SIGSEGV: "A library crashed: look at the log, and check the machine's drivers.",
    }.get(signal.Signals(-status), "Something outside the service ended it.")
    return failed("trainer_died", f"The trainer was ended by {name}.", hint, log=log)


def around(error: Exception, log: list[str]) -> Ending:
    """What failed was not the trainer but the worker's own work: the store, the disk, a file that is missing."""
    return failed("worker_error", f"{type(error).__name__}: {error}"[:1000], "The worker's log has the details.", log=log)
