"""Measures how long each interface takes, step by step, to produce the first student.

The interfaces are the portal, the `dlkd` command, the Python client and `curl`. The clock runs from
the start of a new service until the student's file is on disk.

Usage: python -m benchmarks.time_to_student --teacher resnet20.th --data images.zip
    [--student resnet8] [--epochs 1] [--rounds 3]

In every round, each interface uses a new service (`dlkd up`), so that none benefits from work that
was done for another. The step "start" ends when the service responds. In the portal, "start" also
includes signing in with a browser that is already open, and "job" includes filling in the form.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from dlkd_client.client import Client
from dlkd_core.device import describe_device, pick_device
from tests.support.local_service import read_ready_line, run_local_service, stop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

STEPS = ("start", "teacher", "dataset", "job", "download")
TOTAL = "total"
STUDENT_FILE = "student.onnx"
_POLL_SECONDS = 0.5
_TIMEOUT_MS = 3_600_000  # an hour, because the job may take long
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Scenario:
    """The input files and the job. They are the same for every interface."""

    teacher: Path
    data: Path
    student: str
    epochs: int

    def build_spec(self, teacher: str, dataset: str) -> dict[str, Any]:
        """Return the spec of the job."""
        return {
            "teacher": {"id": teacher},
            "student": {"architecture": self.student},
            "dataset": {"id": dataset},
            "method": {"name": "dlkd_auto"},
            "training": {"epochs": self.epochs},
        }


@dataclass
class StepTimer:
    """Records the duration of each step. A step begins when the previous one ends."""

    seconds: dict[str, float] = field(default_factory=dict)
    _step_started: float = field(default_factory=perf_counter)

    def finish_step(self, step: str) -> None:
        now = perf_counter()
        self.seconds[step], self._step_started = now - self._step_started, now


@dataclass(frozen=True)
class Service:
    """A new service, and a folder for the scenario's files."""

    url: str
    key: str
    folder: Path


@contextmanager
def start_service(folder: Path) -> Iterator[Service]:
    """Run `dlkd up` on an empty folder for the duration of the `with` block."""
    with run_local_service(folder / "data") as process:
        ready = read_ready_line(process)
        yield Service(ready["url"], ready["api_key"], folder)
        stop(process)


def run_python_client(service: Service, scenario: Scenario, timer: StepTimer) -> None:
    """Run the scenario with the Python client."""
    with Client(service.url, service.key) as client:
        timer.finish_step("start")
        teacher = client.wait_until_ready(client.upload_teacher(scenario.teacher)).id
        timer.finish_step("teacher")
        dataset = client.wait_until_ready(client.upload_dataset(scenario.data)).id
        timer.finish_step("dataset")
        job = client.wait(client.submit(scenario.build_spec(teacher, dataset)).id)
        timer.finish_step("job")
        client.download(str(job.model_id), STUDENT_FILE, service.folder)
        timer.finish_step("download")


def run_cli(service: Service, scenario: Scenario, timer: StepTimer) -> None:
    """Run the scenario with the `dlkd` command."""
    environment = {
        **os.environ,
        "DLKD_URL": service.url,
        "DLKD_API_KEY": service.key,
        "XDG_CONFIG_HOME": str(service.folder),
    }

    def dlkd(*arguments: str) -> str:
        command = [sys.executable, "-m", "dlkd_client.cli.app", *arguments]
        process = subprocess.run(  # noqa: S603 - fixed command
            command, env=environment, check=True, capture_output=True, text=True, cwd=service.folder
        )
        return process.stdout.strip()

    timer.finish_step("start")
    teacher = dlkd("teacher", "add", str(scenario.teacher))
    timer.finish_step("teacher")
    dataset = dlkd("dataset", "add", str(scenario.data))
    timer.finish_step("dataset")
    (service.folder / "spec.json").write_text(json.dumps(scenario.build_spec(teacher, dataset)))
    job = dlkd("submit", "spec.json")
    dlkd("watch", job)
    timer.finish_step("job")
    dlkd("download", json.loads(dlkd("show", job))["model_id"], "--to", "students")
    timer.finish_step("download")


def run_curl(service: Service, scenario: Scenario, timer: StepTimer) -> None:
    """Run the scenario with `curl` and a polling loop."""
    program = shutil.which("curl") or "curl"

    def send(path: str, *arguments: str) -> bytes:
        authorization = f"Authorization: Bearer {service.key}"
        options = ["-sS", "--fail", "-L", "-H", authorization, *arguments]
        command = [program, *options, service.url + path]
        return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - fixed command

    def create(path: str, *arguments: str, success: str) -> dict[str, Any]:
        resource: dict[str, Any] = json.loads(send(path, *arguments))
        while resource["status"] not in {success, "invalid", "failed"}:
            sleep(_POLL_SECONDS)
            resource = json.loads(send(f"{path}/{resource['id']}"))
        if resource["status"] != success:
            raise RuntimeError(f"{resource['id']}: {resource['error']}")
        return resource

    timer.finish_step("start")
    teacher = create("/v1/teachers", "-F", f"file=@{scenario.teacher}", success="ready")
    timer.finish_step("teacher")
    dataset = create("/v1/datasets", "-F", f"file=@{scenario.data}", success="ready")
    timer.finish_step("dataset")
    body = json.dumps(scenario.build_spec(teacher["id"], dataset["id"]))
    content_type = "Content-Type: application/json"
    job = create("/v1/jobs", "-H", content_type, "-d", body, success="succeeded")
    timer.finish_step("job")
    file_path = f"/v1/models/{job['model_id']}/files/{STUDENT_FILE}"
    send(file_path, "-o", str(service.folder / STUDENT_FILE))
    timer.finish_step("download")


def make_portal_runner(browser: "Browser") -> "Interface":
    """Return a function that runs the scenario in the portal with an open browser."""

    def run_portal(service: Service, scenario: Scenario, timer: StepTimer) -> None:
        with browser.new_context(accept_downloads=True) as context:
            page = context.new_page()
            page.set_default_timeout(_TIMEOUT_MS)
            _use_portal(page, service, scenario, timer)

    return run_portal


def _use_portal(page: "Page", service: Service, scenario: Scenario, timer: StepTimer) -> None:
    page.goto(service.url)
    page.get_by_label("API key", exact=True).fill(service.key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Upload a checkpoint").wait_for(state="attached")
    timer.finish_step("start")
    page.get_by_label("Upload a checkpoint").set_input_files(scenario.teacher)
    _wait_for(page, page.get_by_text("Recognized:"))
    timer.finish_step("teacher")
    page.get_by_label("Upload images").set_input_files(scenario.data)
    _wait_for(page, page.get_by_text("evaluation images"))
    timer.finish_step("dataset")
    page.get_by_label("Architecture", exact=True).fill(scenario.student)
    page.get_by_label("Distillation method").select_option("dlkd_auto")
    page.get_by_label("Epochs", exact=True).fill(str(scenario.epochs))
    page.get_by_role("button", name="Submit").click()
    _wait_for(page, page.locator(".chip", has_text="succeeded"))
    timer.finish_step("job")
    page.get_by_role("link", name="Open", exact=True).click()
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {STUDENT_FILE}").click()
    download.value.save_as(service.folder / STUDENT_FILE)
    timer.finish_step("download")


def _wait_for(page: "Page", expected: "Locator") -> None:
    """Wait for an element. If an alert appears instead, raise an error with its text."""
    alert = page.get_by_role("alert")
    expected.or_(alert).first.wait_for()
    if alert.count():
        raise RuntimeError(alert.first.inner_text())


Interface = Callable[[Service, Scenario, StepTimer], None]


@contextmanager
def open_interfaces() -> Iterator[dict[str, Interface]]:
    """Yield the interfaces available on this machine. The portal needs Chromium and Playwright."""
    others: dict[str, Interface] = {
        "`dlkd`": run_cli,
        "Python": run_python_client,
        "`curl`": run_curl,
    }
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        yield others
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # needed for the portal only

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield {"portal": make_portal_runner(browser), **others}
        browser.close()


def measure(interface: Interface, scenario: Scenario) -> dict[str, float]:
    """Run a scenario with a new service and return the seconds for each step and in total."""
    with tempfile.TemporaryDirectory() as folder:
        timer = StepTimer()
        with start_service(Path(folder)) as service:
            interface(service, scenario, timer)
        return timer.seconds | {TOTAL: sum(timer.seconds.values())}


def format_seconds(values: list[float]) -> str:
    """Return the median, with the range if there are several values."""
    spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{median(values):.1f}{spread}"


def parse_arguments() -> tuple[Scenario, int]:
    """Parse the command line into the scenario and the number of rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--teacher", type=Path, required=True, help="path of the teacher's checkpoint"
    )
    parser.add_argument("--data", type=Path, required=True, help="path of the image archive")
    parser.add_argument("--student", default="resnet8", help="student architecture")
    parser.add_argument("--epochs", type=int, default=1, help="number of training epochs")
    parser.add_argument("--rounds", type=int, default=1, help="number of runs per interface")
    arguments = parser.parse_args()
    scenario = Scenario(
        arguments.teacher.resolve(), arguments.data.resolve(), arguments.student, arguments.epochs
    )
    return scenario, arguments.rounds


def main() -> None:
    """Print the table of durations as Markdown.

    Each round measures every interface once, so that a slow period on the machine affects them all.
    """
    scenario, rounds = parse_arguments()
    load = os.getloadavg()[0]
    results: dict[str, list[dict[str, float]]] = {}
    with open_interfaces() as interfaces:
        for _ in range(rounds):
            for name, interface in interfaces.items():
                results.setdefault(name, []).append(measure(interface, scenario))
    cores = len(os.sched_getaffinity(0))
    print(
        f"{cores} cores ({platform.machine()}), training on {describe_device(pick_device())}; "
        f"load {load:.2f} at the start; {rounds} rounds\n"
    )
    columns = (*STEPS, TOTAL)
    print(f"| interface | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, runs in results.items():
        cells = [format_seconds([seconds[column] for seconds in runs]) for column in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
