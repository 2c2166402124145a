"""Helpers that start, inspect and stop a real `dlkd up` with all its processes."""

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
def run_local_service(data: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "dlkd_client.cli.app",
        "up",
        "--json",
        "--port",
        "0",
        "--data",
        str(data),
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data.parent,
        env={**clean, **environment},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    ready_line: dict[str, Any] = json.loads(line)
    return ready_line


def stop(
    process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM
) -> tuple[int, str, str]:
    """Send a signal, wait until the process exits, and return (status, stdout, stderr)."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def find_children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """Return the running child processes of `dlkd up`, keyed by name."""
    children = {}
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # also raised for zombies
            command = child.cmdline()
            if command[2:3] == ["dlkd_client.local.child_process"]:
                children[command[3]] = child
    return children
