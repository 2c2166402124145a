"""`dlkd doctor` on a machine that is well, and on ones that are not."""

import json
from pathlib import Path

import pytest

from registry.db import upgrade
from tests.dlkd_client.runner import dlkd


def diagnosis(*words: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = dlkd("doctor", *words, "--json")
    return result.exit_code, {one["name"]: one for one in json.loads(result.stdout)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The data folder of a service that has run here."""
    data = tmp_path / "data"
    data.mkdir()
    upgrade(f"sqlite:///{data / 'dlkd.db'}")
    return data


@pytest.mark.usefixtures("home")
def test_where_all_is_well_it_says_so() -> None:
    status, parts = diagnosis()
    assert status == 0
    well = {name for name, part in parts.items() if part["state"] == "ok"}
    assert {"python", "packages: client", "device", "onnxruntime", "database", "broker", "store"} <= well
    assert (parts["service"]["state"], "dlkd login" in parts["service"]["hint"]) == ("warn", True)


def test_a_service_that_is_not_ready_and_one_that_is_not_there_are_told_apart(url: str, key: str) -> None:
    status, parts = diagnosis("--url", url, "--api-key", key)
    assert (status, parts["service"]["state"]) == (1, "fail")  # its tables were made without the migrations
    assert "is not ready" in parts["service"]["told"]
    assert "does not answer" in diagnosis("--url", "http://127.0.0.1:9", "--api-key", key)[1]["service"]["told"]
    assert "not a key" in diagnosis("--url", url, "--api-key", "dlkd_00000000_wrong")[1]["service"]["told"]


def test_a_database_that_is_behind_is_a_fault_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    upgrade(f"sqlite:///{tmp_path / 'data' / 'dlkd.db'}", "0001")
    result = dlkd("doctor")
    assert result.exit_code == 1
    assert "fail database" in result.stdout
    assert "dlkd db upgrade" in result.stdout


def test_a_broker_that_does_not_answer_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_BROKER_URL", "redis://127.0.0.1:9/0")
    assert home.exists()
    status, parts = diagnosis()
    assert (status, parts["broker"]["state"]) == (0, "warn")


def test_settings_that_are_none_are_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_SLOTS", "many")
    status, parts = diagnosis()
    assert (status, parts["settings"]["state"]) == (1, "fail")
    assert "DLKD_SLOTS" in parts["settings"]["told"]
