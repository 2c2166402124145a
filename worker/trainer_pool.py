"""A pool that keeps one trainer process loaded and idle, so that the next job starts at once."""

import os
from collections.abc import Sequence
from threading import Lock

from worker.environment import build_environment
from worker.torchrun import build_torchrun_command
from worker.trainer_process import TrainerProcess


class TrainerPool:
    """Starts trainers with `command` and keeps one of them idle."""

    def __init__(self, command: Sequence[str], *, threads: int) -> None:
        self._command = tuple(command)
        self._threads = threads
        self._lock = Lock()
        self._idle: TrainerProcess | None = None
        self._closed = False

    def take(self, processes: int = 1) -> TrainerProcess:
        """Return the idle trainer, or a new one if it died.

        A job with several processes always gets a new trainer, which torchrun starts.
        """
        if processes > 1:
            return self._start(build_torchrun_command(self._command, processes))
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None and idle.is_alive():
            return idle
        if idle is not None:
            idle.end()
        return self._start(self._command)

    def refill(self) -> None:
        """Start an idle trainer if there is none."""
        with self._lock:
            if self._idle is None and not self._closed:
                self._idle = self._start(self._command)

    def close(self) -> None:
        """End the idle trainer."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, None
        if idle is not None:
            idle.kill()
            idle.end()

    def _start(self, command: Sequence[str]) -> TrainerProcess:
        return TrainerProcess(command, build_environment(os.environ, threads=self._threads))
