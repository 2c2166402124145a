"""The command `dlkd up`, tested with real processes."""

import signal
import stat
from pathlib import Path
from time import sleep

import httpx
import psutil
import pytest

from dlkd_client.client import Client
from tests.support.local_service import find_children, read_ready_line, run_local_service, stop


def test_up_serves_with_a_worker_until_stopped_and_keeps_its_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with run_local_service(data) as process:
        first = read_ready_line(process)
        assert set(first) == {"url", "api_key"}
        health = httpx.get(f"{first['url']}/readyz").json()
        assert (health["status"], health["checks"]["workers"]) == ("ready", "ok")
        with Client(first["url"], first["api_key"]) as client:
            assert list(client.jobs()) == []
        for name in ("api_key", "service.json"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        children = list(find_children(process).values())
        assert stop(process)[:2] == (0, "")
    assert not any(child.is_running() for child in children)
    assert not (data / "service.json").exists()
    with run_local_service(data) as process:
        assert read_ready_line(process)["api_key"] == first["api_key"]
        assert stop(process, signal.SIGINT)[0] == 0


def test_a_killed_worker_is_restarted_and_its_log_is_shown(tmp_path: Path) -> None:
    with run_local_service(tmp_path / "data") as process:
        read_ready_line(process)
        killed = find_children(process)["worker"]
        killed.kill()
        while (
            restarted := find_children(process).get("worker")
        ) is None or restarted.pid == killed.pid:
            sleep(0.05)
        assert process.poll() is None
        status, _, stderr = stop(process)
    assert status == 0
    assert "The worker process exited with status -9" in stderr


def test_killing_up_ends_its_children(tmp_path: Path) -> None:
    with run_local_service(tmp_path / "data") as process:
        read_ready_line(process)
        children = list(find_children(process).values())
        process.kill()
        assert psutil.wait_procs(children, timeout=60)[1] == []


def test_a_service_that_cannot_start_says_why_and_exits_with_1(tmp_path: Path) -> None:
    with run_local_service(tmp_path / "data", DLKD_STORE_URL="file:///dev/null/nowhere") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert "process exited with status 1" in stderr
    assert "nowhere" in stderr


def test_a_data_folder_is_served_only_once(tmp_path: Path) -> None:
    with run_local_service(tmp_path / "data") as process:
        read_ready_line(process)
        with run_local_service(tmp_path / "data") as second:
            stdout, stderr = second.communicate(timeout=60)
        assert (second.returncode, stdout, "is already running" in stderr) == (1, "", True)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DLKD_HOST": "0.0.0.0"}, "--host 0.0.0.0"),  # noqa: S104 - refused by the test
        ({"DLKD_SLOT": "2"}, "no setting named DLKD_SLOT"),
    ],
)
def test_unsafe_or_unknown_settings_are_refused(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    with run_local_service(tmp_path / "data", **environment) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert message in stderr
    assert "Traceback" not in stderr
