"""`dlkd up`: really started, really stopped."""

import signal
import stat
from pathlib import Path
from time import sleep

import httpx
import psutil
import pytest

from dlkd_client.client import Client
from tests.service import children, ready, stopped, up


def test_up_serves_with_a_worker_until_it_is_told_to_stop_and_keeps_its_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as process:
        first = ready(process)
        assert set(first) == {"url", "api_key"}
        health = httpx.get(f"{first['url']}/readyz").json()
        assert (health["status"], health["checks"]["workers"]) == ("ready", "ok")
        with Client(first["url"], first["api_key"]) as client:
            assert list(client.jobs()) == []
        for name in ("api_key", "service.json"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        working = list(children(process).values())
        assert stopped(process)[:2] == (0, "")
    assert not any(child.is_running() for child in working)
    assert not (data / "service.json").exists()
    with up(data) as process:
        assert ready(process)["api_key"] == first["api_key"]
        assert stopped(process, signal.SIGINT)[0] == 0


def test_a_worker_that_is_killed_is_started_again_and_its_log_is_shown(tmp_path: Path) -> None:
    with up(tmp_path / "data") as process:
        ready(process)
        killed = children(process)["worker"]
        killed.kill()
        while (again := children(process).get("worker")) is None or again.pid == killed.pid:
            sleep(0.05)
        assert process.poll() is None
        status, _, stderr = stopped(process)
    assert status == 0
    assert "The worker process ended with status -9" in stderr


def test_nothing_stays_behind_when_up_itself_is_killed(tmp_path: Path) -> None:
    with up(tmp_path / "data") as process:
        ready(process)
        working = list(children(process).values())
        process.kill()
        assert psutil.wait_procs(working, timeout=60)[1] == []


def test_a_service_that_cannot_start_says_why_and_ends_with_1(tmp_path: Path) -> None:
    with up(tmp_path / "data", DLKD_STORE_URL="file:///dev/null/nowhere") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert "process ended with status 1" in stderr
    assert "nowhere" in stderr


def test_one_folder_is_served_once(tmp_path: Path) -> None:
    with up(tmp_path / "data") as process:
        ready(process)
        with up(tmp_path / "data") as second:
            stdout, stderr = second.communicate(timeout=60)
        assert (second.returncode, stdout, "is up already" in stderr) == (1, "", True)


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"DLKD_HOST": "0.0.0.0"}, "--host 0.0.0.0"), ({"DLKD_SLOT": "2"}, "no setting called DLKD_SLOT")],  # noqa: S104
)
def test_settings_that_would_surprise_are_refused(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    with up(tmp_path / "data", **environment) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert said in stderr
    assert "Traceback" not in stderr
