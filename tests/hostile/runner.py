"""Runs each case as the worker does, in a process of its own with limited memory and time."""

import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

from PIL import Image

from dlkd_core.catalog.dataset_formats import DATASET_FORMATS
from dlkd_core.common import import_target
from dlkd_core.errors import DistillationError
from dlkd_core.teachers.recognition import fingerprints
from tests.hostile.case import READY, Case
from worker import trainer
from worker.protocol import UploadCheckRequest

MEMORY_BYTES = 4 << 30  # the memory limit of the process, as DLKD_TRAINER_MEMORY_BYTES sets it
MAX_SECONDS = 30.0
MAX_PEAK_BYTES = 1 << 30
MAX_WRITTEN_BYTES = 64 << 20


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        title: Kind and name of the case.
        code: "ready", the code of the error, or "crashed" if the process ended without a result.
        text: Message of the error, or the notices.
        seconds: Duration of the check.
        peak_bytes: Memory that the check used at most, without that of the idle process.
        written_bytes: Bytes that the check wrote.
        problem: Why the outcome is wrong, or an empty text.
    """

    title: str
    code: str
    text: str
    seconds: float
    peak_bytes: int
    written_bytes: int
    problem: str = ""


def run_cases(cases: Iterable[Case]) -> Iterator[Outcome]:
    """Run the cases one after another and yield their outcomes."""
    cases = list(cases)
    _load_libraries()
    if any(case.kind == "transformers" for case in cases):
        import_target("transformers:ResNetForImageClassification")
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            root = Path(folder, str(number))
            outcome = _run_case(case, root)
            shutil.rmtree(root)
            yield outcome


def _load_libraries() -> None:
    """Load in this process what every check needs, so that the child processes share it."""
    fingerprints.all_fingerprints()
    for dataset_format in DATASET_FORMATS.values():
        import_target(dataset_format.target)
    Image.init()


def _run_case(case: Case, root: Path) -> Outcome:
    inputs, directory = root / "inputs", root / "attempt"
    inputs.mkdir(parents=True)
    directory.mkdir()
    path = case.write(inputs)
    started = time.monotonic()
    result = _fork(lambda: _check(case, path, directory), MAX_SECONDS)
    seconds = time.monotonic() - started
    stray = {entry.name for entry in root.iterdir()} - {"inputs", "attempt"}
    measured = json.loads(result or '{"code": "crashed", "text": "", "peak": 0, "written": 0}')
    outcome = Outcome(
        case.title,
        measured["code"],
        measured["text"],
        round(seconds, 3),
        measured["peak"],
        measured["written"],
    )
    problem = "files were written outside" if stray else _find_problem(case, outcome)
    return Outcome(**{**asdict(outcome), "problem": problem})


def _find_problem(case: Case, outcome: Outcome) -> str:
    problems = {
        f"expected {' or '.join(case.outcomes)}": outcome.code not in case.outcomes,
        f"the text does not contain {case.mentions!r}": case.mentions not in outcome.text,
        "the code is not one of the project's": outcome.code not in {READY, *_known_codes()},
        "the check took too long": outcome.seconds > MAX_SECONDS,
        "the check used too much memory": outcome.peak_bytes > MAX_PEAK_BYTES,
        "the check wrote too much": outcome.written_bytes > MAX_WRITTEN_BYTES,
    }
    return next((problem for problem, is_present in problems.items() if is_present), "")


def _known_codes() -> set[str]:
    found, pending = set[str](), [DistillationError]
    while pending:
        error = pending.pop()
        found.add(error.code)
        pending += error.__subclasses__()
    return found


def _check(case: Case, path: Path, directory: Path) -> str:
    """Check a file as `python -m worker.trainer` does, and return the result as JSON."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    idle = _status_bytes("VmRSS")
    request = UploadCheckRequest(
        directory=directory,
        silence_seconds=MAX_SECONDS,
        memory_bytes=MEMORY_BYTES,
        kind=case.check,
        path=path,
    )
    for event in trainer._run_request(request, Flag()):
        line = event.model_dump_json()  # as it is sent to the supervisor
    peak = _status_bytes("VmHWM")
    result = json.loads(line)
    error = result.get("error", {})
    return json.dumps(
        {
            "code": error.get("code", READY),
            "text": error["message"] if error else "\n".join(result["report"]["notices"]),
            "peak": peak - idle,
            "written": _written_bytes(),
        }
    )


def _status_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert match is not None
    return int(match[1]) << 10


def _written_bytes() -> int:
    fields: dict[str, Any] = dict(
        line.split(": ") for line in Path("/proc/self/io").read_text().splitlines()
    )
    return int(fields["wchar"])


def _fork(function: Callable[[], str], max_seconds: float) -> str | None:
    """Return what a function returns in a child process, or None if the process does not end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            log = os.open(os.environ.get("HOSTILE_LOG", os.devnull), os.O_WRONLY | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdout = sys.stderr
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.write(writer, function().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    deadline = time.monotonic() + max_seconds
    received = b""
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            break
        received += chunk
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    os.waitpid(pid, 0)
    return received.decode() or None
