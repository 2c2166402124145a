"""`python -m worker.trainer`: one process that runs one job, and the only part of the worker that loads torch.

It loads everything first, then waits for its request on standard input: so a warm one starts a job at once. Later lines are
keep-alives; at their end or in their silence the process ends itself, because another worker may be running the job by then.
"""

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from threading import Event as Flag
from threading import Thread
from typing import IO

from dlkd_core import events
from dlkd_core.checkpoint import FILE
from dlkd_core.data.inspect import inspect_dataset
from dlkd_core.distributed import heard_by_all, told
from dlkd_core.errors import DistillationError, OutOfMemory
from dlkd_core.export.trial import try_files
from dlkd_core.pipeline import run
from dlkd_core.teacher_cache import CacheFile
from dlkd_core.teachers.load import inspect_teacher
from worker.environment import settle_in
from worker.ranks import end_with_torchrun
from worker.wire import Check, Distill, Request, Trial, request_adapter

# The last is what oneDNN says.
_NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory", "could not create a primitive")

_PEER_LOST = ("gloo", "NCCL")  # what torch speaks of where another process of the run has gone


class Lines:
    """Lines from a file descriptor, with a limit to the silence between them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def next(self, timeout: float | None = None) -> bytes | None:
        """The next line; None at the end of the file, or after `timeout` seconds without one."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._descriptor], [], [], timeout)
            chunk = os.read(self._descriptor, 65_536) if ready else b""
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def main() -> int:
    """Runs the job that standard input asks for, and ends."""
    out = _own_stdout()
    lines = Lines(sys.stdin.fileno())
    world = told()
    if world.size > 1:
        end_with_torchrun()
    first = heard_by_all(lines.next, world)
    if first is None:
        return 0  # never needed
    request = request_adapter.validate_json(first)
    stop = Flag()
    if world.leads:
        Thread(target=_listen, args=(lines, request.silence_seconds, stop), daemon=True).start()
    for event in _guarded(request, stop):
        out.write(event.model_dump_json() + "\n")
        out.flush()
    return 0


def _own_stdout() -> IO[str]:
    """Standard output for the events alone: whatever else is printed goes to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _listen(lines: Lines, silence: float, stop: Flag) -> None:
    while (line := lines.next(silence)) is not None:
        if json.loads(line).get("stop"):
            stop.set()
    # No supervisor, or a frozen one: whatever runs here ends now, children too, before another worker gets the job.
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _guarded(request: Request, stop: Flag) -> Iterator[events.Event]:
    """The job's events; the last one tells how it ended, unless it was stopped."""
    try:
        settle_in(request.directory, memory_bytes=request.memory_bytes, gpu=request.gpu)
        yield from _distill(request, stop) if isinstance(request, Distill) else _check(request)
    except DistillationError as error:
        traceback.print_exc()
        yield events.Failed(error=error.facts())
    except MemoryError:
        traceback.print_exc()
        yield events.Failed(error=OutOfMemory("There is not enough memory for this.").facts())
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor is told; the log has the rest
        traceback.print_exc()
        yield events.Failed(error=_facts_of(error))


def _facts_of(error: Exception) -> dict[str, object]:
    text = str(error).partition("\n")[0]
    if any(sign in str(error) for sign in _NO_MEMORY):
        return OutOfMemory(text).facts()
    if any(sign in str(error) for sign in _PEER_LOST):
        hint = "The log of the job may say why it ended."
        return {"code": "process_lost", "message": "Another process of the run has ended.", "hint": hint, "retryable": True}
    message = f"{type(error).__name__}: {text}"
    return {
        "code": "internal_error",
        "message": message,
        "hint": "The log has the traceback; please report it.",
        "retryable": True,
    }


def _distill(request: Distill, stop: Flag) -> Iterator[events.Event]:
    step = 0
    kept = CacheFile(request.lessons.file, request.lessons.budget) if request.lessons else None
    with closing(run(request.spec, request.directory, resume_from=request.resume_from, teacher_cache=kept)) as job:
        for event in job:
            yield event
            step = event.step if isinstance(event, events.StepDone) else step
            if stop.is_set():
                break
        else:
            return
    # Closing has made it save where it stood.
    saved = request.directory / FILE
    if step and saved.exists():
        yield events.CheckpointSaved(path=str(saved), step=step)


def _check(request: Check | Trial) -> Iterator[events.Event]:
    yield events.PhaseStarted(phase="reading")
    if isinstance(request, Trial):
        yield events.Finished(report=try_files(request.told, request.files))
    elif request.kind == "check_dataset":
        yield events.Finished(report=inspect_dataset(request.path, request.directory))
    else:
        yield events.Finished(report=inspect_teacher(request.path, request.architecture, request.num_classes))


if __name__ == "__main__":
    sys.exit(main())
