"""The service's processes as children: started with a log each, watched, started again when they fall, drained at the end."""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

_ROTATE_BYTES = 8 * 2**20
_TAIL_LINES = 20
_FALLS = 3  # within _FALLS_SECONDS: starting it again does not help
_FALLS_SECONDS = 60.0


class ChildDied(Exception):
    """A process of the service ended by itself; the message holds the end of its log."""


@dataclass
class Child:
    """A module of the service that runs as a process of its own."""

    name: str
    module: str
    log: Path
    environment: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    falls: deque[float] = field(default_factory=deque)

    def start(self) -> None:
        """Starts it in a session of its own, so that Ctrl-C reaches only us and we can end it in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
                [sys.executable, "-m", "dlkd_client.child", self.module, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.environment),
                pass_fds=self.pass_fds,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self.process.pid if self.process else 0

    def fallen(self) -> int | None:
        """The exit status where it has ended, None while it runs."""
        return self.process.poll() if self.process else None

    def hopeless(self) -> bool:
        """Notes a fall; whether it falls so often that starting it again is no use."""
        now = monotonic()
        self.falls.append(now)
        while now - self.falls[0] > _FALLS_SECONDS:
            self.falls.popleft()
        return len(self.falls) >= _FALLS

    def obituary(self) -> str:
        """That it ended, how, and the end of its log."""
        return f"The {self.name} process ended with status {self.fallen()}. The end of {self.log}:\n{tail(self.log)}"

    def ask_to_end(self) -> None:
        """TERM: it drains and ends."""
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        """Waits for the end; after so many seconds the whole session is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines)).rstrip()


def end_all(children: Sequence[Child], seconds: float) -> None:
    """Asks all to end at once, then waits for them together."""
    until = monotonic() + seconds
    for child in children:
        child.ask_to_end()
    for child in children:
        child.end(until - monotonic())
