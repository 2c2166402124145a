"""The command `python -m api`: settings errors, the check for an API key, and serving requests."""

import io
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from api.__main__ import main
from registry.access import api_keys
from registry.db.database import Database
from registry.db.schema_migrations import upgrade

ROOT = Path(__file__).resolve().parents[2]
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - a public address is what the tests need


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DLKD_SLOT", "2", "There is no setting named DLKD_SLOT"),
        ("DLKD_PORT", "http", "DLKD_PORT: Input should be a valid integer"),
        ("DLKD_METRICS", "token", "DLKD_METRICS=token requires DLKD_METRICS_TOKEN"),
    ],
)
def test_invalid_settings_are_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert main() == 1
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("log_stream")
def test_a_public_host_is_not_served_before_there_is_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade(f"sqlite:///{tmp_path / 'dlkd.db'}")
    monkeypatch.setenv("DLKD_DATA", str(tmp_path))
    monkeypatch.setenv("DLKD_HOST", ALL_INTERFACES)
    assert main() == 1
    assert "Run `dlkd key add NAME` first" in capsys.readouterr().err


def test_a_public_host_is_served_with_a_key_and_logs_json(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'dlkd.db'}"
    upgrade(url)
    database = Database(url)
    with database.write() as session:
        api_keys.create(session, name="operator")
    database.close()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DLKD_", "OTEL_"))
    }
    settings = {
        "DLKD_DATA": str(tmp_path),
        "DLKD_PORT": "0",
        "DLKD_HOST": ALL_INTERFACES,
        "DLKD_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "api"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), **settings},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            first_line, remaining_output = _read_output(process)
        finally:
            process.kill()
    assert '"logger": "uvicorn.error"' in first_line
    assert '"path": "/livez"' in remaining_output
    assert process.returncode in {0, -15}


def _read_output(process: "subprocess.Popen[str]") -> tuple[str, str]:
    stderr = process.stderr
    assert isinstance(stderr, io.TextIOBase)
    first_line = next(first_line for first_line in stderr if "Uvicorn running" in first_line)
    port = int(first_line.partition(f"{ALL_INTERFACES}:")[2].partition(" ")[0])
    assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).json() == {
        "status": "alive"
    }
    process.terminate()
    return first_line, stderr.read()
