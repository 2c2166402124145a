"""Fixtures for portal tests: Chromium, and a `dlkd up` service with a few finished jobs."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from dlkd_client.client import Client
from tests.e2e.conftest import run_service
from tests.e2e.portal.portal_page import PortalPage, open_portal

_TIMEOUT_SECONDS = 900  # the first test waits for the service and its jobs
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", type=Path, help="Folder to write screenshots of the portal's pages to"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))


def _find_chromium() -> str:
    """Return the path of the Chromium program.

    If Chromium is missing, it is installed with apt-get, which requires root. If this is not
    possible, the tests are skipped.
    """
    path = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(
                command,
                check=False,
                capture_output=True,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium was not found and cannot be installed. Install it to run this test.")
    return path


@pytest.fixture(scope="package")  # with session scope, other tests would see its event loop
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_find_chromium(), args=arguments)
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class PortalService:
    """A service and the ids of its resources."""

    client: Client
    url: str
    key: str
    dataset: str
    teacher_model: str  # trained on labels only
    student_model: str  # distilled from teacher_model
    distilled_job: str  # the job that created student_model
    failed_job: str
    database_url: str


@pytest.fixture(scope="package")
def portal(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Iterator[PortalService]:
    folder = tmp_path_factory.mktemp("portal") / "data"
    with run_service(folder, DLKD_RATE_PER_MINUTE="0") as client:
        dataset = client.wait_until_ready(client.upload_dataset(stripes, name="stripes")).id
        base: dict[str, Any] = {
            "dataset": {"id": dataset},
            "student": {"architecture": "resnet8"},
            "training": {"epochs": 12},
        }
        teacher_spec = {**base, "student": {"architecture": "resnet20"}}
        teacher_job = client.submit({**teacher_spec, "name": "teacher by labels"})
        teacher_model = client.wait(teacher_job.id).model_id
        teacher = {"model_id": teacher_model}
        wrong_teacher = {**teacher, "class_map": [1, 2, 0]}
        failed_job = client.submit(
            {
                **base,
                "name": "wrong class order",
                "teacher": wrong_teacher,
                "method": {"name": "kd"},
            }
        ).id
        distilled_spec = {
            **base,
            "teacher": teacher,
            # With a low learning rate, some images are misclassified, which the page shows.
            "method": {"name": "kd"},
            "training": {"epochs": 12, "learning_rate": 0.001},
            "labels": {"team": "vision"},
        }
        distilled_job = client.wait(client.submit({**distilled_spec, "name": "stripes by dlkd"}).id)
        client.wait(failed_job)
        yield PortalService(
            client=client,
            url=client.url,
            key=(folder / "api_key").read_text().strip(),
            dataset=dataset,
            teacher_model=teacher_model or "",
            student_model=distilled_job.model_id or "",
            distilled_job=distilled_job.id,
            failed_job=failed_job,
            database_url=f"sqlite:///{folder / 'dlkd.db'}",
        )


OpenPage = Callable[..., AbstractContextManager[PortalPage]]


@pytest.fixture
def open_page(browser: Browser, portal: PortalService, request: pytest.FixtureRequest) -> OpenPage:
    """Return a function that opens the portal in a new browser context with the given options."""

    def open_in_new_context(**context: Any) -> AbstractContextManager[PortalPage]:
        folder = request.config.getoption("--screenshots", default=None)
        return open_portal(browser, portal.url, portal.key, screenshot_folder=folder, **context)

    return open_in_new_context
