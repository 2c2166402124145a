"""`dlkd up` as a test starts, watches and stops it: the real command with its real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil


@contextmanager
def up(data: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "dlkd_client.command", "up", "--json", "--port", "0", "--data", str(data)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=data.parent, env={**clean, **environment}
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    found: dict[str, Any] = json.loads(line)
    return found


def stopped(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    """Status, and what it still said, after the signal."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """The service's living processes by name."""
    found = {}
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # as zombies are, too
            command = child.cmdline()
            if command[2:3] == ["dlkd_client.child"]:
                found[command[3]] = child
    return found
