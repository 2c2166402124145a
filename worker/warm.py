"""Trainers in waiting: one that has loaded everything takes the next job at once; its successor loads meanwhile."""

import os
from collections.abc import Sequence
from threading import Lock

from worker.environment import clean
from worker.process import Trainer
from worker.ranks import torchrun


class Warm:
    """Holds one waiting trainer. `command` starts one."""

    def __init__(self, command: Sequence[str], *, threads: int) -> None:
        self._command = tuple(command)
        self._threads = threads
        self._lock = Lock()
        self._waiting: Trainer | None = None
        self._closed = False

    def take(self, processes: int = 1) -> Trainer:
        """The waiting trainer, or a new one where it died; for several processes always a new one, which torchrun starts."""
        if processes > 1:
            return self._start(torchrun(self._command, processes))
        with self._lock:
            ready, self._waiting = self._waiting, None
        if ready is not None and ready.alive():
            return ready
        if ready is not None:
            ready.end()
        return self._start(self._command)

    def refill(self) -> None:
        """Starts the next one, if none waits."""
        with self._lock:
            if self._waiting is None and not self._closed:
                self._waiting = self._start(self._command)

    def close(self) -> None:
        """Ends the one that waits."""
        with self._lock:
            self._closed = True
            ready, self._waiting = self._waiting, None
        if ready is not None:
            ready.kill()
            ready.end()

    def _start(self, command: Sequence[str]) -> Trainer:
        return Trainer(command, clean(os.environ, threads=self._threads))
