"""Runs the service's modules as child processes, each with a log.

`python -m dlkd_client.local.child_process MODULE PARENT_PID` runs a module like `python -m MODULE`,
but ends it when the parent process dies.
"""

import ctypes
import os
import runpy
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
_MAX_EXITS = 3  # after this many within _EXIT_WINDOW_SECONDS, the process is not restarted
_EXIT_WINDOW_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class ChildProcessDied(Exception):
    """A process of the service exited unexpectedly. The message includes the end of its log."""


@dataclass
class ChildProcess:
    """A module of the service that runs as a child process."""

    name: str
    module: str
    log: Path
    environment: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    exit_times: deque[float] = field(default_factory=deque)

    def start(self) -> None:
        """Start the process in its own session.

        Ctrl-C then reaches only the parent, which stops its children in order.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _ROTATE_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
                [sys.executable, "-m", __name__, self.module, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.environment),
                pass_fds=self.pass_fds,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the running process, or 0 if none is running."""
        return self.process.pid if self.process else 0

    def exit_status(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self.process.poll() if self.process else None

    def record_exit(self) -> bool:
        """Record that the process has exited. Return whether it fails too often to be restarted.

        Exits with status 0 do not count, because a drained worker exits normally.
        """
        if self.exit_status() == 0:
            return False
        now = monotonic()
        self.exit_times.append(now)
        while now - self.exit_times[0] > _EXIT_WINDOW_SECONDS:
            self.exit_times.popleft()
        return len(self.exit_times) >= _MAX_EXITS

    def describe_exit(self) -> str:
        """Return a message with the exit status and the end of the log."""
        return (
            f"The {self.name} process exited with status {self.exit_status()}. "
            f"The end of {self.log}:\n{read_tail(self.log)}"
        )

    def terminate(self) -> None:
        """Send SIGTERM, which makes the process drain and exit."""
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def wait(self, timeout: float) -> None:
        """Wait for the process to exit. After `timeout` seconds, kill its whole session."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def read_tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a log."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines)).rstrip()


def stop_all(children: Sequence[ChildProcess], timeout: float) -> None:
    """Terminate all processes and wait for them. The timeout applies to all of them together."""
    deadline = monotonic() + timeout
    for child in children:
        child.terminate()
    for child in children:
        child.wait(deadline - monotonic())


def exit_with_parent(parent: int) -> None:
    """Have Linux send this process SIGTERM when the parent dies. Do nothing on other systems."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the request
            sys.exit(1)


if __name__ == "__main__":
    exit_with_parent(int(sys.argv[2]))
    name = sys.argv[1]
    sys.argv = [name]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
