"""A real Chromium in front of a real service: `dlkd up` with its worker, where some jobs have run."""

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
from tests.e2e.conftest import service
from tests.e2e.portal.visitor import Visitor, visiting

_PATIENCE = 900  # seconds: the first test waits for the service and the jobs that it is shown with
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="Folder for pictures of the portal's pages")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_PATIENCE))


def _chromium() -> str:
    """The browser of this machine. On a Debian where we are root it is installed; it is not a Python package."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]):
            subprocess.run(command, check=False, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium here, and it cannot be installed: install it to run the portal's tests")
    return found


@pytest.fixture(scope="package")  # no longer: its event loop is in the way of others
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_chromium(), args=arguments)
        yield opened
        opened.close()


@dataclass(frozen=True)
class Portal:
    """A service, and the ids of what is in it."""

    client: Client
    url: str
    key: str
    dataset: str
    teacher: str  # a model, made by labels alone
    student: str  # a model, distilled from it
    distilled: str  # the job that made it
    failed: str  # a job
    database: str  # its URL


@pytest.fixture(scope="package")
def portal(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Iterator[Portal]:
    folder = tmp_path_factory.mktemp("portal") / "data"
    with service(folder, DLKD_RATE_PER_MINUTE="0") as client:
        dataset = client.ready(client.upload_dataset(stripes, name="stripes")).id
        base: dict[str, Any] = {"dataset": {"id": dataset}, "student": {"architecture": "resnet8"}, "training": {"epochs": 12}}
        large = {"student": {"architecture": "resnet20"}}
        teacher = client.wait(client.submit({**base, **large, "name": "teacher by labels"}).id).model_id
        taught = {**base, "teacher": {"model_id": teacher}}
        wrong = {**taught["teacher"], "class_map": [1, 2, 0]}
        failed = client.submit({**base, "name": "wrong class order", "teacher": wrong, "method": {"name": "kd"}}).id
        job = client.wait(client.submit({**taught, "name": "stripes by dlkd", "labels": {"team": "vision"}}).id)
        client.wait(failed)
        key = (folder / "api_key").read_text().strip()
        yield Portal(
            client, client.url, key, dataset, teacher or "", job.model_id or "", job.id, failed, f"sqlite:///{folder / 'dlkd.db'}"
        )


Visit = Callable[..., AbstractContextManager[Visitor]]


@pytest.fixture
def visit(browser: Browser, portal: Portal, request: pytest.FixtureRequest) -> Visit:
    """How somebody comes: visitors by `with`, options as of a browser context (viewport, color_scheme)."""

    def make(**context: Any) -> AbstractContextManager[Visitor]:
        pictures = request.config.getoption("--pictures", default=None)
        return visiting(browser, portal.url, portal.key, pictures=pictures, **context)

    return make
