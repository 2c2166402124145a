"""Entry point of `python -m worker.trainer`, a process that runs one job.

This is the only part of the worker that imports torch. The process first imports everything and
then waits for its request on standard input, so that an idle trainer can start a job at once. The
lines after the request are keep-alives. If they stop, the process kills itself, because by then
another worker may be running the job.
"""

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from threading import Event as Flag
from threading import Thread
from typing import IO

from dlkd_core import events
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.distributed.process_group import broadcast_message, read_world
from dlkd_core.errors import DistillationError, OutOfMemory
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.export.import_check import check_files
from dlkd_core.memory_limits import is_out_of_memory
from dlkd_core.pipeline import run
from dlkd_core.teachers.loading import inspect_teacher
from dlkd_core.teachers.teacher_cache import TeacherCacheFile
from worker.environment import isolate_process
from worker.protocol import (
    DistillRequest,
    ImportCheckRequest,
    TrainerRequest,
    UploadCheckRequest,
    request_adapter,
)
from worker.torchrun import exit_with_parent

# torch's errors contain one of these names if another process of the run has died.
_PEER_LOST_MESSAGES = ("gloo", "NCCL")


class LineReader:
    """Reads lines from a file descriptor with a timeout."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def is_ready(self) -> bool:
        """Return whether input or the end of the file is waiting to be read."""
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def read_line(self, timeout: float | None = None) -> bytes | None:
        """Return the next line, or None at the end of the file or after `timeout` seconds."""
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._descriptor], [], [], timeout)
            chunk = os.read(self._descriptor, 65_536) if ready else b""
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def main() -> int:
    """Run the job requested on standard input and return the exit status."""
    out = _reserve_stdout()
    lines = LineReader(sys.stdin.fileno())
    world = read_world()
    if world.size > 1:
        exit_with_parent()
    if not lines.is_ready():
        # torch imports this when it creates an optimizer, which takes seconds. A trainer that
        # waits for its job does so beforehand.
        import_module("torch._dynamo")
    request_line = broadcast_message(lines.read_line, world)
    if request_line is None:
        return 0  # the worker shut down before it needed this trainer
    request = request_adapter.validate_json(request_line)
    stop = Flag()
    if world.is_leader:
        Thread(
            target=_watch_stdin, args=(lines, request.silence_seconds, stop), daemon=True
        ).start()
    for event in _run_request(request, stop):
        out.write(event.model_dump_json() + "\n")
        out.flush()
    return 0


def _reserve_stdout() -> IO[str]:
    """Reserve standard output for events and return its stream. Other output goes to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _watch_stdin(lines: LineReader, silence_seconds: float, stop: Flag) -> None:
    while (line := lines.read_line(silence_seconds)) is not None:
        if json.loads(line).get("stop"):
            stop.set()
    # The supervisor is gone or frozen. Kill this process and its children before another worker
    # claims the job.
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _run_request(request: TrainerRequest, stop: Flag) -> Iterator[events.Event]:
    """Run the job and yield its events. Unless the job was stopped, the last one is the result."""
    try:
        isolate_process(request.directory, memory_bytes=request.memory_bytes, gpu=request.gpu)
        yield from (
            _run_distillation(request, stop)
            if isinstance(request, DistillRequest)
            else _run_check(request)
        )
    except DistillationError as error:
        traceback.print_exc()
        yield events.RunFailed(error=error.to_dict())
    except MemoryError:
        traceback.print_exc()
        yield events.RunFailed(
            error=OutOfMemory("There is not enough memory for this job.").to_dict()
        )
    except Exception as error:  # noqa: BLE001 - any error is reported to the supervisor
        traceback.print_exc()
        yield events.RunFailed(error=_describe_error(error))


def _describe_error(error: Exception) -> dict[str, object]:
    text = str(error).partition("\n")[0]
    if is_out_of_memory(error):
        return OutOfMemory(text).to_dict()
    if any(message in str(error) for message in _PEER_LOST_MESSAGES):
        return {
            "code": "process_lost",
            "message": "Another process of this run exited.",
            "hint": "See the job's log for the reason.",
            "retryable": True,
        }
    return {
        "code": "internal_error",
        "message": f"{type(error).__name__}: {text}",
        "hint": "Please report this together with the traceback in the job's log.",
        "retryable": True,
    }


def _run_distillation(request: DistillRequest, stop: Flag) -> Iterator[events.Event]:
    step, phase = 0, None
    cache_file = (
        TeacherCacheFile(request.teacher_cache.file, request.teacher_cache.max_bytes)
        if request.teacher_cache
        else None
    )
    with closing(
        run(
            request.spec,
            request.directory,
            resume_from=request.resume_from,
            teacher_cache=cache_file,
        )
    ) as job:
        for event in job:
            yield event
            if isinstance(event, events.PhaseStarted):
                phase = event.phase
            elif isinstance(event, events.StepFinished) and phase == events.Phase.TRAINING:
                step = event.step  # checkpoints are of the student and not of the baseline
            if stop.is_set():
                break
        else:
            return
    # Closing the run saved a checkpoint of the step at which the run stopped.
    saved = request.directory / CHECKPOINT_FILE
    if step and saved.exists():
        yield events.CheckpointSaved(path=str(saved), step=step)


def _run_check(request: UploadCheckRequest | ImportCheckRequest) -> Iterator[events.Event]:
    yield events.PhaseStarted(phase=events.Phase.READING)
    if isinstance(request, ImportCheckRequest):
        yield events.RunFinished(report=check_files(request.import_report, request.files))
    elif request.kind == "check_dataset":
        yield events.RunFinished(report=inspect_dataset(request.path, request.directory))
    else:
        yield events.RunFinished(
            report=inspect_teacher(
                request.path, request.architecture, request.num_classes, request.output
            )
        )


if __name__ == "__main__":
    sys.exit(main())
