"""The supervisor's handle to a trainer process: its input, events, log and termination."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import IO, cast

from registry.attempts.attempt_results import LOG_TAIL_LINES
from registry.attempts.trainer_logs import MAX_LINE_LENGTH
from worker.protocol import KEEP_ALIVE, STOP, TrainerRequest

_MAX_NEW_LINES = 1000
_TERM_SECONDS = 3.0
_KILL_SECONDS = 10.0


class TrainerProcess:
    """A running trainer. It has its own session, so that its whole process group can be killed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._new_lines: deque[str] = deque(maxlen=_MAX_NEW_LINES)
        self._dropped = 0
        self._stdin_lock = Lock()
        self._log_lock = Lock()  # guards the new lines and the count of dropped ones
        self._end_event = Flag()
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._readers = [
            _start_thread(self._read_events, self._process.stdout),
            _start_thread(self._read_log, self._process.stderr),
        ]

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the process group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process is still running."""
        return self._process.poll() is None

    def send_request(self, request: TrainerRequest) -> None:
        """Send the request.

        This does not fail if the process has already died, but `next_line` then returns None.
        """
        self._send(request.model_dump_json().encode() + b"\n")

    def start_keep_alive(self, interval: float, holds_lease: Callable[[], bool]) -> None:
        """Send a keep-alive every `interval` seconds while this worker holds the job's lease."""

        def send_keep_alives() -> None:
            while not self._end_event.wait(interval):
                if holds_lease():
                    self._send(KEEP_ALIVE)

        _start_thread(send_keep_alives)

    def request_stop(self) -> None:
        """Ask the trainer to save a checkpoint and exit."""
        self._send(STOP)

    def next_line(self, timeout: float) -> bytes | None:
        """Return the line with the next event, or None after the last event.

        Raises:
            TimeoutError: no line arrived in time.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None
        if line is None:
            self._lines.put(None)
        return line

    def log_tail(self) -> list[str]:
        """Return the last lines of the trainer's standard error."""
        return list(self._log)

    def take_new_lines(self) -> list[str]:
        """Return the lines written to standard error since the last call.

        If there are too many, the oldest are replaced by a line that says how many were dropped.
        """
        with self._log_lock:
            lines, dropped = list(self._new_lines), self._dropped
            self._new_lines.clear()
            self._dropped = 0
        return [f"({dropped} lines were dropped here)", *lines] if dropped else lines

    def end(self) -> int:
        """End the process and its children with SIGTERM, then SIGKILL, and return the exit status.

        The status is negative if a signal ended the process.
        """
        self._end_event.set()
        status = self._terminate() if self.is_alive() else self._process.wait()
        self._signal(signal.SIGKILL)  # children that may be left
        with self._stdin_lock, suppress(BrokenPipeError):
            self._stdin.close()
        for reader in self._readers:
            reader.join(_KILL_SECONDS)
        return status

    def kill(self) -> None:
        """Kill the process group at once."""
        self._signal(signal.SIGKILL)

    def _terminate(self) -> int:
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_TERM_SECONDS)
        self._signal(signal.SIGKILL)
        return self._process.wait(_KILL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _send(self, line: bytes) -> None:
        # If the process has exited, its events will show that.
        with self._stdin_lock, suppress(BrokenPipeError, ValueError):
            self._stdin.write(line)
            self._stdin.flush()

    def _read_events(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._lines.put(line)
        self._lines.put(None)

    def _read_log(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                text = line.decode(errors="replace").rstrip()[:MAX_LINE_LENGTH]
                self._log.append(text)
                with self._log_lock:
                    self._dropped += len(self._new_lines) == _MAX_NEW_LINES
                    self._new_lines.append(text)


def _start_thread(target: Callable[..., None], *arguments: object) -> Thread:
    thread = Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
