"""A trainer that runs the Python code in its first argument.

The code can call the functions below, which use the protocol of worker/protocol.py.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

request: dict[str, Any] = {}


def emit(kind: str, **fields: Any) -> None:
    """Send an event to the supervisor."""
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def read_message() -> dict[str, Any]:
    """Return the supervisor's next message, or exit if the supervisor has closed the pipe."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def wait_for_stop() -> None:
    while not read_message().get("stop"):
        pass


def attempt_path(name: str) -> Path:
    return Path(request["directory"]) / name


def step(number: int, steps: int = 10) -> None:
    emit("step", epoch=1, epochs=1, step=number, steps=steps, batch_size=64)


def save(number: int) -> None:
    """Save a checkpoint and report it."""
    attempt_path("checkpoint.pt").write_text(f"step {number}")
    emit("checkpoint", path=str(attempt_path("checkpoint.pt")), step=number)


def export(content: bytes = b"weights", name: str = "student.safetensors") -> None:
    attempt_path(name).write_bytes(content)
    fields = {
        "name": name,
        "format": "safetensors",
        "path": str(attempt_path(name)),
        "size": len(content),
        "top1": 0.9,
        "latency_ms": 1.5,
    }
    emit("file", **fields, sha256=hashlib.sha256(content).hexdigest())


def finish(**report: Any) -> None:
    default_report = {
        "architecture": "resnet8",
        "parameters": 78_042,
        "classes": ["a", "b"],
        "metrics": {"student": {"top1": 0.9}},
    }
    emit("finished", report={**default_report, **report})


def fail(code: str = "training_diverged", *, retryable: bool = False) -> None:
    emit(
        "failed",
        error={
            "code": code,
            "message": "It went wrong.",
            "hint": "Do better.",
            "retryable": retryable,
        },
    )


if __name__ == "__main__":
    request = read_message()
    exec(sys.argv[1], {**globals(), "os": os, "signal": signal, "time": time})  # noqa: S102 - the code comes from the tests
