"""`make demo`: the whole service on this machine, from a teacher to a checked student, through REST alone.

Without arguments it distils a teacher of scikit-learn's handwritten digits, which it trains first; with --teacher, --data
and --student it does the same with your own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from dlkd_client.answers import Dataset, Job, Model, Teacher
from dlkd_client.client import Client
from dlkd_client.digits import write_digits
from dlkd_client.errors import ClientError, NotReady
from dlkd_client.onnx_check import Measured, run_onnx
from dlkd_client.progress import Bars

_STUDENT = "student.onnx"
_POLL_SECONDS = 0.3
# A minute of training, not the paper's 240 epochs of 50,000 images: the method fits itself to that.
_DIGITS = {"batch_size": 32, "learning_rate": 0.1, "schedule": {"name": "cosine"}, "flip": False, "evaluate_every": 2}
_METHOD = {"name": "dlkd_auto"}


@dataclass(frozen=True)
class Plan:
    """What the demo distils, and for how long. Without a teacher file, the teacher is trained as a job."""

    data: Path
    student: str
    teacher_file: Path | None
    method: dict[str, Any]
    training: dict[str, Any]
    seeds: int
    out: Path


@dataclass(frozen=True)
class Source:
    """The teacher as a job's spec names it, and as the table shows it."""

    ref: dict[str, Any]
    architecture: str
    parameters: int
    model: Model | None  # of a teacher that was trained here
    size: int


class StepFailed(Exception):
    """A step of the demo went wrong; the message names it."""


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    console.print(f"[bold]▸ {name}[/]")
    try:
        yield
    except (ClientError, OSError) as error:
        raise StepFailed(f"{name}: {error}") from error


@contextmanager
def _service(data: Path, slots: int) -> Iterator[Client]:
    """`dlkd up` on a free port, drained at the end."""
    command = [
        sys.executable,
        "-m",
        "dlkd_client.command",
        "up",
        "--json",
        "--port",
        "0",
        "--data",
        str(data),
        "--slots",
        str(slots),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command, no shell
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise StepFailed(f"start the service: it ended with status {process.wait()}; see {data / 'logs'}")
            ready = json.loads(line)
            with Client(ready["url"], ready["api_key"]) as client:
                yield client
        finally:
            process.terminate()
            process.wait(60)


def run(plan: Plan, client: Client, console: Console) -> Table:
    """Every step in order, through the client; returns the table."""
    with _step(console, "Upload the data set"):
        dataset = client.ready(client.upload_dataset(plan.data))
        splits, classes = dataset.splits or {}, dataset.classes or []
        console.print(f"  {splits.get('train')} training and {splits.get('val')} evaluation images in {len(classes)} classes")
    with _step(console, "Bring the teacher"):
        source = _uploaded(plan.teacher_file, client, console) if plan.teacher_file else _trained(plan, dataset, client, console)
    with _step(console, f"Train {plan.student} alone and by {plan.method['name']}, {plan.seeds} seed(s) each"):
        distilled, alone = _students(plan, dataset, source, client, console)
    with _step(console, "Download the student and run it outside the service"):
        checked = {name: _checked(client, model, plan, name) for name, model in _files(alone, distilled, source).items()}
        console.print(
            f"  {plan.out / 'distilled' / _STUDENT}: sha256 as announced, {checked['distilled'].top1:.2%} of the images right"
        )
    return _table(source, {"alone": alone, "distilled": distilled}, checked, plan)


def _uploaded(file: Path, client: Client, console: Console) -> Source:
    teacher: Teacher = client.ready(client.upload_teacher(file))
    console.print(f"  {file.name}: recognised as {teacher.architecture}, {teacher.parameters:,} parameters")
    return Source({"id": teacher.id}, teacher.architecture or "", teacher.parameters or 0, None, teacher.size or 0)


def _trained(plan: Plan, dataset: Dataset, client: Client, console: Console) -> Source:
    spec = {
        "name": "teacher",
        "teacher": None,
        "student": {"architecture": "wrn_16_2"},
        "dataset": {"id": dataset.id},
        "training": {**plan.training, "epochs": 12},
        "export": ["safetensors", "onnx"],
    }
    (model,) = _finish({"teacher wrn_16_2": client.submit(spec)}, client, console)
    return Source({"model_id": model.id}, model.architecture, model.parameters, model, model.file(_STUDENT).size)


def _students(plan: Plan, dataset: Dataset, source: Source, client: Client, console: Console) -> tuple[list[Model], list[Model]]:
    """The students by distillation and those alone, one of each seed."""
    ways: dict[str, dict[str, Any]] = {
        plan.method["name"]: {"teacher": source.ref, "method": plan.method},
        "alone": {"teacher": None},
    }
    jobs: dict[str, Job] = {}
    for seed in range(plan.seeds):
        common: dict[str, Any] = {
            "student": {"architecture": plan.student},
            "dataset": {"id": dataset.id},
            "training": {**plan.training, "seed": seed},
            "export": ["safetensors", "onnx"] if seed == 0 else ["safetensors"],
        }
        for name, parts in ways.items():
            label = f"{plan.student} {name}, seed {seed}"
            jobs[label] = client.submit({**common, **parts, "name": label})
    _tell_proof(next(iter(jobs.values())), client, console)
    models = _finish(jobs, client, console)
    return models[0::2], models[1::2]


def _tell_proof(job: Job, client: Client, console: Console) -> None:
    """What the teacher was found to be worth on the evaluation images, before a step was trained."""
    while True:
        ended = client.job(job.id).ended  # asked before the events, so that none of an ended job is missed
        proof = next((event.data for event in client.events(job.id) if event.type == "teacher"), None)
        if proof is not None:
            console.print(f"  teacher {proof['architecture']}: {proof['top1']:.1%} of {proof['images']} evaluation images")
        if proof is not None or ended:
            return
        time.sleep(_POLL_SECONDS)


def _finish(jobs: dict[str, Job], client: Client, console: Console) -> list[Model]:
    """Shows the jobs while they work, and returns their models."""
    with Bars(console) as bars, ThreadPoolExecutor(len(jobs)) as pool:
        waiting = [pool.submit(client.wait, job.id, on_progress=bars.line(label).show) for label, job in jobs.items()]
        ended: list[Job] = [one.result() for one in waiting]
    for label, job in zip(jobs, ended, strict=True):
        if job.status != "succeeded" or job.model_id is None:
            raise NotReady(
                f"{label} ({job.id}) {job.status}: {job.error or ''}", code=job.error.code if job.error else job.status
            )
    return [client.model(job.model_id or "") for job in ended]


def _files(alone: list[Model], distilled: list[Model], source: Source) -> dict[str, Model]:
    trained = {"teacher": source.model} if source.model else {}
    return {"alone": alone[0], "distilled": distilled[0], **trained}


def _checked(client: Client, model: Model, plan: Plan, name: str) -> Measured:
    folder = plan.out / name
    folder.mkdir(parents=True, exist_ok=True)
    found = run_onnx(client.download(model, _STUDENT, folder), plan.data)
    promised = model.file(_STUDENT).top1
    if promised is None or abs(found.top1 - promised) > 0.5 / found.images:  # not one image apart
        raise NotReady(f"{name}: {found.top1:.4%} outside the service, {promised:.4%} on its page", code="accuracy_differs")
    return found


def _table(source: Source, students: dict[str, list[Model]], checked: dict[str, Measured], plan: Plan) -> Table:
    table = Table("", "top-1 (%)", "parameters", "file (KiB)", "latency (ms)", title=f"{plan.data.name}, {plan.seeds} seed(s)")
    first = students["distilled"][0].metrics["teacher"] or {}
    latency = checked["teacher"].latency_ms if "teacher" in checked else first["latency_ms"]
    table.add_row(
        f"teacher {source.architecture}", f"{first['top1']:.2%}".rstrip("%"), *_figures(source.parameters, source.size, latency)
    )
    for name, label in (("alone", "alone"), ("distilled", f"by {plan.method['name']}")):
        model = students[name][0]
        figures = _figures(model.parameters, model.file(_STUDENT).size, checked[name].latency_ms)
        table.add_row(f"{plan.student} {label}", _spread([one.metrics["student"] or {} for one in students[name]]), *figures)
    return table


def _figures(parameters: int, size: int, latency: float) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{size / 1024:,.0f}", f"{latency:.2f}"


def _spread(metrics: list[dict[str, Any]]) -> str:
    values = [100 * one["top1"] for one in metrics]
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _plan(given: argparse.Namespace) -> Plan:
    given.out.mkdir(parents=True, exist_ok=True)
    if given.teacher is None and given.data is None:
        return Plan(
            data=write_digits(given.out / "digits.zip"),
            student=given.student or "resnet8",
            teacher_file=None,
            method=_METHOD,
            training={**_DIGITS, "epochs": given.epochs or 6},
            seeds=given.seeds or 3,
            out=given.out,
        )
    if given.teacher is None or given.data is None:
        raise StepFailed("arguments: TEACHER and DATA go together; give both, or neither for the built-in digits")
    return Plan(
        data=given.data,
        student=given.student or "resnet20",
        teacher_file=given.teacher,
        method=_METHOD,
        training={"epochs": given.epochs or 1},
        seeds=given.seeds or 1,
        out=given.out,
    )


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, help="a checkpoint (.pth, .pt, .th, .safetensors)")
    parser.add_argument("--data", type=Path, help="zip, tar or tar.gz of train/<class>/... and val/<class>/...")
    parser.add_argument("--student", help="an architecture of the catalog")
    parser.add_argument("--epochs", type=int, help="of each student")
    parser.add_argument("--seeds", type=int, help="runs of each student")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where downloads go")
    parser.add_argument("--service", type=Path, default=Path("data"), help="the service's data folder")
    given = parser.parse_args(arguments)
    console = Console()
    try:
        plan = _plan(given)
        with _step(console, "Start the service"), _service(given.service, os.cpu_count() or 1) as client:
            console.print(f"  {client.url}, files in {given.service.resolve()}")
            table = run(plan, client, console)
    except StepFailed as error:
        console.print(f"demo failed at: {error}", style="red", highlight=False, markup=False)
        return 1
    console.print(table)
    console.print(f"The files are in {plan.out}. `make up` starts the service again with these jobs and models.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
