"""How long a first student takes by each door, from a service that was not there to a file on disk, by steps.

python -m benchmarks.first_student --teacher resnet20.th --data images.zip [--student resnet8] [--epochs 1] [--rounds 3]

Every door of every round has a service of its own (`dlkd up`), so that none finds the work of another one done. "start" is until
that answers; in the portal the browser is open before, and signing in is part of it. "job" has the filling of the form in it.
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
from dlkd_core.device import describe, pick_device
from tests.service import ready, stopped, up

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

STEPS = ("start", "teacher", "data set", "job", "download")
FILE = "student.onnx"
_POLL_SECONDS = 0.5
_PATIENCE = 3_600_000  # milliseconds: the job may be a long one
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Wish:
    """What everybody brings, and wants."""

    teacher: Path
    data: Path
    student: str
    epochs: int

    def spec(self, teacher: str, dataset: str) -> dict[str, Any]:
        """The request for it."""
        return {
            "teacher": {"id": teacher},
            "student": {"architecture": self.student},
            "dataset": {"id": dataset},
            "method": {"name": "dlkd_auto"},
            "training": {"epochs": self.epochs},
        }


@dataclass
class Watch:
    """Seconds by step; a step goes on until the next one is named."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=perf_counter)

    def done(self, step: str) -> None:
        now = perf_counter()
        self.seconds[step], self._since = now - self._since, now


@dataclass(frozen=True)
class Service:
    """A fresh one, and a folder for what comes of it."""

    url: str
    key: str
    folder: Path


@contextmanager
def started(folder: Path) -> Iterator[Service]:
    """`dlkd up` on an empty folder, until the block ends."""
    with up(folder / "data") as process:
        running = ready(process)
        yield Service(running["url"], running["api_key"], folder)
        stopped(process)


def python(service: Service, wish: Wish, watch: Watch) -> None:
    """By the Python client."""
    with Client(service.url, service.key) as client:
        watch.done("start")
        teacher = client.ready(client.upload_teacher(wish.teacher)).id
        watch.done("teacher")
        dataset = client.ready(client.upload_dataset(wish.data)).id
        watch.done("data set")
        job = client.wait(client.submit(wish.spec(teacher, dataset)).id)
        watch.done("job")
        client.download(str(job.model_id), FILE, service.folder)
        watch.done("download")


def command(service: Service, wish: Wish, watch: Watch) -> None:
    """By `dlkd`."""
    environment = {**os.environ, "DLKD_URL": service.url, "DLKD_API_KEY": service.key, "XDG_CONFIG_HOME": str(service.folder)}

    def dlkd(*arguments: str) -> str:
        line = [sys.executable, "-m", "dlkd_client.command", *arguments]
        done = subprocess.run(line, env=environment, check=True, capture_output=True, text=True, cwd=service.folder)  # noqa: S603 - ours
        return done.stdout.strip()

    watch.done("start")
    teacher = dlkd("teacher", "add", str(wish.teacher))
    watch.done("teacher")
    dataset = dlkd("dataset", "add", str(wish.data))
    watch.done("data set")
    (service.folder / "spec.json").write_text(json.dumps(wish.spec(teacher, dataset)))
    job = dlkd("submit", "spec.json")
    dlkd("watch", job)
    watch.done("job")
    dlkd("download", json.loads(dlkd("show", job))["model_id"], "--to", "students")
    watch.done("download")


def curl(service: Service, wish: Wish, watch: Watch) -> None:
    """By `curl` and a loop that asks."""
    program = shutil.which("curl") or "curl"

    def send(path: str, *arguments: str) -> bytes:
        key = f"Authorization: Bearer {service.key}"
        line = [program, "-sS", "--fail", "-L", "-H", key, *arguments, service.url + path]
        return subprocess.run(line, check=True, capture_output=True).stdout  # noqa: S603 - ours

    def settled(path: str, row: bytes, good: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(row)
        while found["status"] not in {good, "invalid", "failed"}:
            sleep(_POLL_SECONDS)
            found = json.loads(send(f"{path}/{found['id']}"))
        if found["status"] != good:
            raise RuntimeError(f"{found['id']}: {found['error']}")
        return found

    watch.done("start")
    teacher = settled("/v1/teachers", send("/v1/teachers", "-F", f"file=@{wish.teacher}"), "ready")["id"]
    watch.done("teacher")
    dataset = settled("/v1/datasets", send("/v1/datasets", "-F", f"file=@{wish.data}"), "ready")["id"]
    watch.done("data set")
    body = json.dumps(wish.spec(teacher, dataset))
    job = settled("/v1/jobs", send("/v1/jobs", "-H", "Content-Type: application/json", "-d", body), "succeeded")
    watch.done("job")
    send(f"/v1/models/{job['model_id']}/files/{FILE}", "-o", str(service.folder / FILE))
    watch.done("download")


def portal(browser: "Browser") -> "Door":
    """By the pages, in a browser that is open already."""

    def door(service: Service, wish: Wish, watch: Watch) -> None:
        with browser.new_context(accept_downloads=True) as context:
            page = context.new_page()
            page.set_default_timeout(_PATIENCE)
            _visit(page, service, wish, watch)

    return door


def _visit(page: "Page", service: Service, wish: Wish, watch: Watch) -> None:
    page.goto(service.url)
    page.get_by_label("Key", exact=True).fill(service.key)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Bring a checkpoint").wait_for(state="attached")
    watch.done("start")
    page.get_by_label("Bring a checkpoint").set_input_files(wish.teacher)
    _wait(page, page.get_by_text("Recognised:"))
    watch.done("teacher")
    page.get_by_label("Bring images").set_input_files(wish.data)
    _wait(page, page.get_by_text("evaluation images"))
    watch.done("data set")
    page.get_by_label("Architecture", exact=True).fill(wish.student)
    page.get_by_label("How it learns").select_option("dlkd_auto")
    page.get_by_label("Epochs", exact=True).fill(str(wish.epochs))
    page.get_by_role("button", name="Submit").click()
    _wait(page, page.locator(".chip", has_text="succeeded"))
    watch.done("job")
    page.get_by_role("link", name="Open", exact=True).click()
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as coming:
        page.get_by_role("link", name=f"Download {FILE}").click()
    coming.value.save_as(service.folder / FILE)
    watch.done("download")


def _wait(page: "Page", good: "Locator") -> None:
    """Until it is there, or what went wrong."""
    alert = page.get_by_role("alert")
    good.or_(alert).first.wait_for()
    if alert.count():
        raise RuntimeError(alert.first.inner_text())


Door = Callable[[Service, Wish, Watch], None]


@contextmanager
def opened() -> Iterator[dict[str, Door]]:
    """The doors that this machine has: the portal's needs a Chromium, and Playwright."""
    others: dict[str, Door] = {"`dlkd`": command, "Python": python, "`curl`": curl}
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        yield others
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # only who has a browser needs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield {"portal": portal(browser), **others}
        browser.close()


def measured(door: Door, wish: Wish) -> dict[str, float]:
    """Seconds by step of one visitor who begins with nothing."""
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch()
        with started(Path(folder)) as service:
            door(service, wish, watch)
        return watch.seconds | {"all of it": sum(watch.seconds.values())}


def told(values: list[float]) -> str:
    """Median, and the range where there is one."""
    return f"{median(values):.1f}" + (f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else "")


def wanted() -> tuple[Wish, int]:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True, help="a checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="an archive of images")
    parser.add_argument("--student", default="resnet8", help="its architecture")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    return Wish(given.teacher.resolve(), given.data.resolve(), given.student, given.epochs), given.rounds


def main() -> None:
    """Prints the table as markdown; doors are tried in turn, so that a slow moment hits all of them."""
    wish, rounds = wanted()
    load, seen = os.getloadavg()[0], {}
    with opened() as doors:
        for _ in range(rounds):
            for name, door in doors.items():
                seen.setdefault(name, []).append(measured(door, wish))
    device = describe(pick_device())
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores ({platform.machine()}), training on {device}; load {load:.2f} at the beginning; {rounds} rounds\n")
    columns = (*STEPS, "all of it")
    print(f"| door | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, runs in seen.items():
        print(f"| {name} | {' | '.join(told([run[step] for run in runs]) for step in columns)} |")


if __name__ == "__main__":
    main()
