"""The command `dlkd doctor` on machines with and without problems."""

import json
from pathlib import Path

import pytest

from registry.db.schema_migrations import upgrade
from tests.dlkd_client.cli_runner import run_dlkd


def run_doctor(*options: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = run_dlkd("doctor", *options, "--json")
    return result.exit_code, {check["name"]: check for check in json.loads(result.stdout)}


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Create the data folder of a service that ran on this machine earlier."""
    data = tmp_path / "data"
    data.mkdir()
    upgrade(f"sqlite:///{data / 'dlkd.db'}")
    return data


@pytest.mark.usefixtures("data_folder")
def test_a_healthy_machine_passes() -> None:
    status, parts = run_doctor()
    assert status == 0
    passed = {name for name, part in parts.items() if part["state"] == "ok"}
    assert {
        "python",
        "packages: client",
        "device",
        "onnxruntime",
        "database",
        "broker",
        "store",
    } <= passed
    assert (parts["service"]["state"], "dlkd login" in parts["service"]["hint"]) == ("warn", True)


def test_an_unready_and_an_unreachable_service_are_distinguished(url: str, key: str) -> None:
    status, parts = run_doctor("--url", url, "--api-key", key)
    # The service is not ready, because its tables were created without migrations.
    assert (status, parts["service"]["state"]) == (
        1,
        "fail",
    )
    assert "is not ready" in parts["service"]["message"]
    assert (
        "does not respond"
        in run_doctor("--url", "http://127.0.0.1:9", "--api-key", key)[1]["service"]["message"]
    )
    assert (
        "not valid"
        in run_doctor("--url", url, "--api-key", "dlkd_00000000_wrong")[1]["service"]["message"]
    )


def test_an_outdated_database_fails_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    upgrade(f"sqlite:///{tmp_path / 'data' / 'dlkd.db'}", "0001")
    result = run_dlkd("doctor")
    assert result.exit_code == 1
    assert "fail database" in result.stdout
    assert "dlkd db upgrade" in result.stdout


def test_an_unavailable_broker_is_a_warning(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLKD_BROKER_URL", "redis://127.0.0.1:9/0")
    assert data_folder.exists()
    status, parts = run_doctor()
    assert (status, parts["broker"]["state"]) == (0, "warn")


def test_invalid_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_SLOTS", "many")
    status, parts = run_doctor()
    assert (status, parts["settings"]["state"]) == (1, "fail")
    assert "DLKD_SLOTS" in parts["settings"]["message"]
