"""A trainer process as its supervisor holds it: lines in, events out, and a certain end."""

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

from registry.endings import LOG_LINES
from registry.logs import LINE_LENGTH
from worker.wire import KEEP_ALIVE, STOP, Request

_FRESH_LINES = 1000
_TERM_SECONDS = 3.0
_KILL_SECONDS = 10.0


class Trainer:
    """A started trainer in a session of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        process = subprocess.Popen(  # noqa: S603 - our own program
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._fresh: deque[str] = deque(maxlen=_FRESH_LINES)
        self._left_out = 0
        self._lock = Lock()  # of standard input
        self._logging = Lock()  # of the fresh lines
        self._ended = Flag()
        self._process = process
        self._stdin = cast("IO[bytes]", process.stdin)
        self._readers = [_start(self._read_events, process.stdout), _start(self._read_log, process.stderr)]

    @property
    def pid(self) -> int:
        """The process, which is also its group."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: Request) -> None:
        """Sends the request; a process that died before shows in its events."""
        self._send(request.model_dump_json().encode() + b"\n")

    def keep_alive(self, interval: float, entitled: Callable[[], bool]) -> None:
        """From now on sends a keep-alive every `interval` seconds, as long as this worker is entitled to the job."""

        def beat() -> None:
            while not self._ended.wait(interval):
                if entitled():
                    self._send(KEEP_ALIVE)

        _start(beat)

    def stop(self) -> None:
        """Asks it to save a checkpoint and end."""
        self._send(STOP)

    def next_line(self, timeout: float) -> bytes | None:
        """The next event's line; None once it has said everything. Raises `TimeoutError` where there is none in time."""
        try:
            line = self._lines.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None
        if line is None:
            self._lines.put(None)
        return line

    def log_tail(self) -> list[str]:
        """The last lines that it wrote to its standard error."""
        return list(self._log)

    def fresh_lines(self) -> list[str]:
        """What it wrote to its standard error since the last call; of very much the newest lines, after one that says so."""
        with self._logging:
            lines, left_out = list(self._fresh), self._left_out
            self._fresh.clear()
            self._left_out = 0
        return [f"({left_out} lines were left out here)", *lines] if left_out else lines

    def end(self) -> int:
        """Ends the process and its children: TERM, then KILL. Returns the exit status, negative for a signal."""
        self._ended.set()
        status = self._terminate() if self.alive() else self._process.wait()
        self._signal(signal.SIGKILL)  # children that it may have left
        self._close()
        return status

    def kill(self) -> None:
        """Ends it at once, however it ends."""
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
        with self._lock, suppress(BrokenPipeError, ValueError):  # it has ended, which its events will show
            self._stdin.write(line)
            self._stdin.flush()

    def _close(self) -> None:
        with self._lock, suppress(BrokenPipeError):
            self._stdin.close()
        for reader in self._readers:
            reader.join(_KILL_SECONDS)

    def _read_events(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._lines.put(line)
        self._lines.put(None)

    def _read_log(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                text = line.decode(errors="replace").rstrip()[:LINE_LENGTH]
                self._log.append(text)
                with self._logging:
                    self._left_out += len(self._fresh) == _FRESH_LINES
                    self._fresh.append(text)


def _start(target: Callable[..., None], *arguments: object) -> Thread:
    thread = Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
