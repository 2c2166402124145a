"""The demo: distills a teacher through the REST API of a service on this machine.

Without arguments, it trains a teacher on scikit-learn's handwritten digits and distills it. With
--teacher, --data and --student, it uses your own files.
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

from dlkd_client.client import Client
from dlkd_client.errors import ClientError, NotReady
from dlkd_client.local.digits_dataset import write_digits
from dlkd_client.local.onnx_evaluation import OnnxEvaluation, evaluate_onnx
from dlkd_client.progress import ProgressBars
from dlkd_client.responses import Dataset, Job, Model, Teacher

_STUDENT_FILE = "student.onnx"
_POLL_SECONDS = 0.3
# The teacher knows all digits of the dataset, the students a tenth of them: the case in which a
# teacher helps most. Left and right matter in digits, so images are not flipped.
_TEACHER_TRAINING = {"epochs": 12, "flip": False, "evaluate_every": 4}
_DIGITS_TRAINING = {"label_share": 0.1, "flip": False, "evaluate_every": 10}
_DIGITS_EPOCHS = 40
# The variants of the student that are compared, by name. None is training on the labels alone.
_METHODS: dict[str, str | None] = {"alone": None, "kd": "kd", "distilled": "dlkd_auto"}


@dataclass(frozen=True)
class DemoConfig:
    """The demo's inputs and training budget. Without a teacher file, a job trains the teacher."""

    data: Path
    student: str
    teacher_file: Path | None
    training: dict[str, Any]
    seeds: int
    out: Path


@dataclass(frozen=True)
class TeacherInfo:
    """The teacher's entry in job specs, and the facts about it that the result table shows."""

    spec: dict[str, Any]
    architecture: str
    parameters: int
    model: Model | None  # set if the demo trained the teacher
    size: int


class StepFailed(Exception):
    """A step of the demo failed. The message names the step."""


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    console.print(f"[bold]▸ {name}[/]")
    try:
        yield
    except (ClientError, OSError) as error:
        raise StepFailed(f"{name}: {error}") from error


@contextmanager
def _start_service(data: Path, slots: int) -> Iterator[Client]:
    """Run `dlkd up` on a free port during the `with` block."""
    command = [
        sys.executable,
        *("-m", "dlkd_client.cli.app", "up", "--json"),
        *("--port", "0", "--data", str(data), "--slots", str(slots)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command, no shell
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise StepFailed(
                    f"Start the service: `dlkd up` exited with status {process.wait()}. "
                    f"See {data / 'logs'}."
                )
            ready = json.loads(line)
            with Client(ready["url"], ready["api_key"]) as client:
                yield client
        finally:
            process.terminate()
            process.wait(60)


def run_demo(config: DemoConfig, client: Client, console: Console) -> Table:
    """Run all steps of the demo with the client and return the result table."""
    with _step(console, "Upload the dataset"):
        dataset = client.wait_until_ready(client.upload_dataset(config.data))
        splits, classes = dataset.splits or {}, dataset.classes or []
        console.print(
            f"  {splits.get('train')} training and {splits.get('val')} evaluation images "
            f"in {len(classes)} classes"
        )
    with _step(console, "Prepare the teacher"):
        source = (
            _upload_teacher(config.teacher_file, client, console)
            if config.teacher_file
            else _train_teacher(dataset, client, console)
        )
    training_step = (
        f"Train {config.student} on labels alone and with kd and dlkd_auto, "
        f"{config.seeds} seed(s) each"
    )
    with _step(console, training_step):
        students = _train_students(config, dataset, source, client, console)
    with _step(console, "Download the student and run it outside the service"):
        evaluations = {
            name: _check_model(client, model, config, name)
            for name, model in _select_models(students, source).items()
        }
        console.print(
            f"  {config.out / 'distilled' / _STUDENT_FILE}: sha256 verified, "
            f"{evaluations['distilled'].top1:.2%} top-1 accuracy"
        )
    return _build_table(source, students, evaluations, config)


def _upload_teacher(file: Path, client: Client, console: Console) -> TeacherInfo:
    teacher: Teacher = client.wait_until_ready(client.upload_teacher(file))
    console.print(
        f"  {file.name}: recognized as {teacher.architecture}, {teacher.parameters:,} parameters"
    )
    return TeacherInfo(
        {"id": teacher.id},
        teacher.architecture or "",
        teacher.parameters or 0,
        None,
        teacher.size or 0,
    )


def _train_teacher(dataset: Dataset, client: Client, console: Console) -> TeacherInfo:
    spec = {
        "name": "teacher",
        "teacher": None,
        "student": {"architecture": "wrn_16_2"},
        "dataset": {"id": dataset.id},
        "training": _TEACHER_TRAINING,
        "export": ["safetensors", "onnx"],
    }
    (model,) = _wait_for_models({"teacher wrn_16_2": client.submit(spec)}, client, console)
    return TeacherInfo(
        {"model_id": model.id},
        model.architecture,
        model.parameters,
        model,
        model.file(_STUDENT_FILE).size,
    )


def _train_students(
    config: DemoConfig, dataset: Dataset, teacher: TeacherInfo, client: Client, console: Console
) -> dict[str, list[Model]]:
    """Train one student per variant and seed, and return the models by variant."""
    jobs: dict[str, Job] = {}
    for seed in range(config.seeds):
        for method in _METHODS.values():
            label = f"{config.student} {method or 'alone'}, seed {seed}"
            spec = {
                "name": label,
                "teacher": teacher.spec if method else None,
                "student": {"architecture": config.student},
                "dataset": {"id": dataset.id},
                "method": {"name": method} if method else None,
                "training": {**config.training, "seed": seed},
                "export": ["safetensors", "onnx"] if seed == 0 else ["safetensors"],
            }
            jobs[label] = client.submit(spec)
    _print_verification(list(jobs.values())[-1], client, console)
    models = _wait_for_models(jobs, client, console)
    return {variant: models[index :: len(_METHODS)] for index, variant in enumerate(_METHODS)}


def _print_verification(job: Job, client: Client, console: Console) -> None:
    """Print the teacher's accuracy, which the service measures before training."""
    while True:
        # Read the status before the events, so that no event of a finished job is missed.
        is_finished = client.job(job.id).is_finished
        for event in client.events(job.id):
            if event.type == "teacher":
                console.print(
                    f"  teacher {event.data['architecture']}: {event.data['top1']:.1%} "
                    f"of {event.data['images']} evaluation images"
                )
                return
        if is_finished:
            return
        time.sleep(_POLL_SECONDS)


def _wait_for_models(jobs: dict[str, Job], client: Client, console: Console) -> list[Model]:
    """Show the progress of the jobs, wait for them and return their models."""
    with ProgressBars(console) as bars, ThreadPoolExecutor(len(jobs)) as pool:
        futures = [
            pool.submit(client.wait, job.id, on_progress=bars.add_line(label).show_job)
            for label, job in jobs.items()
        ]
        finished: list[Job] = [future.result() for future in futures]
    for label, job in zip(jobs, finished, strict=True):
        if job.status != "succeeded" or job.model_id is None:
            raise NotReady(
                f"{label} ({job.id}) {job.status}: {job.error or ''}",
                code=job.error.code if job.error else job.status,
            )
    return [client.model(job.model_id or "") for job in finished]


def _select_models(students: dict[str, list[Model]], teacher: TeacherInfo) -> dict[str, Model]:
    trained = {"teacher": teacher.model} if teacher.model else {}
    return {name: models[0] for name, models in students.items()} | trained


def _check_model(client: Client, model: Model, config: DemoConfig, name: str) -> OnnxEvaluation:
    folder = config.out / name
    folder.mkdir(parents=True, exist_ok=True)
    measured = evaluate_onnx(client.download(model, _STUDENT_FILE, folder), config.data)
    published = model.file(_STUDENT_FILE).top1
    # Both evaluations must find the same number of correct predictions.
    if published is None or abs(measured.top1 - published) > 0.5 / measured.images:
        raise NotReady(
            f"{name}: measured {measured.top1:.4%}, but the service reported {published:.4%}",
            code="accuracy_differs",
        )
    return measured


def _build_table(
    teacher: TeacherInfo,
    students: dict[str, list[Model]],
    evaluations: dict[str, OnnxEvaluation],
    config: DemoConfig,
) -> Table:
    table = Table(
        "",
        "top-1 (%)",
        "parameters",
        "file (KiB)",
        "latency (ms)",
        title=f"{config.data.name}, {config.seeds} seed(s)",
    )
    first = students["distilled"][0].metrics["teacher"] or {}
    latency = evaluations["teacher"].latency_ms if "teacher" in evaluations else first["latency_ms"]
    table.add_row(
        f"teacher {teacher.architecture}",
        f"{first['top1']:.2%}".rstrip("%"),
        *_format_figures(teacher.parameters, teacher.size, latency),
    )
    for name, method in _METHODS.items():
        label = f"by {method}" if method else "alone"
        model = students[name][0]
        figures = _format_figures(
            model.parameters, model.file(_STUDENT_FILE).size, evaluations[name].latency_ms
        )
        table.add_row(
            f"{config.student} {label}",
            _format_spread([model.metrics["student"] or {} for model in students[name]]),
            *figures,
        )
    return table


def _format_figures(parameters: int, size: int, latency: float) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{size / 1024:,.0f}", f"{latency:.2f}"


def _format_spread(metrics: list[dict[str, Any]]) -> str:
    values = [100 * entry["top1"] for entry in metrics]
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _parse_config(arguments: argparse.Namespace) -> DemoConfig:
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.teacher is None and arguments.data is None:
        return DemoConfig(
            data=write_digits(arguments.out / "digits.zip"),
            student=arguments.student or "resnet8",
            teacher_file=None,
            training={**_DIGITS_TRAINING, "epochs": arguments.epochs or _DIGITS_EPOCHS},
            seeds=arguments.seeds or 3,
            out=arguments.out,
        )
    if arguments.teacher is None or arguments.data is None:
        raise StepFailed(
            "arguments: give both --teacher and --data, or neither to use the built-in digits"
        )
    return DemoConfig(
        data=arguments.data,
        student=arguments.student or "resnet20",
        teacher_file=arguments.teacher,
        training={"epochs": arguments.epochs or 1},
        seeds=arguments.seeds or 1,
        out=arguments.out,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the demo from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--teacher", type=Path, help="checkpoint (.pth, .pt, .th, .safetensors)")
    parser.add_argument(
        "--data", type=Path, help="zip, tar or tar.gz of train/<class>/... and val/<class>/..."
    )
    parser.add_argument("--student", help="architecture of the student")
    parser.add_argument("--epochs", type=int, help="epochs per student")
    parser.add_argument("--seeds", type=int, help="number of runs per student")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for downloads")
    parser.add_argument(
        "--service", type=Path, default=Path("data"), help="data folder of the service"
    )
    options = parser.parse_args(arguments)
    console = Console()
    try:
        config = _parse_config(options)
        with (
            _step(console, "Start the service"),
            _start_service(options.service, os.cpu_count() or 1) as client,
        ):
            console.print(f"  {client.url}, files in {options.service.resolve()}")
            table = run_demo(config, client, console)
    except StepFailed as error:
        console.print(f"Demo failed at: {error}", style="red", highlight=False, markup=False)
        return 1
    console.print(table)
    console.print(
        f"The files are in {config.out}. "
        "`make up` starts the service again with these jobs and models."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
