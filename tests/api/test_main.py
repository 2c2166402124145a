"""`python -m api`: what it says before it serves, and that it does not serve where it must not."""

import io
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from api.__main__ import main
from registry import keys
from registry.db import Database, upgrade

ROOT = Path(__file__).resolve().parents[2]
ANYWHERE = "0.0.0.0"  # noqa: S104 - the point


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DLKD_SLOT", "2", "there is no setting called DLKD_SLOT"),
        ("DLKD_PORT", "http", "DLKD_PORT: Input should be a valid integer"),
        ("DLKD_METRICS", "token", "DLKD_METRICS=token needs a DLKD_METRICS_TOKEN"),
    ],
)
def test_wrong_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    assert main() == 1
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("log_stream")
def test_other_machines_are_not_served_before_there_is_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade(f"sqlite:///{tmp_path / 'dlkd.db'}")
    monkeypatch.setenv("DLKD_DATA", str(tmp_path))
    monkeypatch.setenv("DLKD_HOST", ANYWHERE)
    assert main() == 1
    assert "run `dlkd key add NAME` first" in capsys.readouterr().err


def test_with_a_key_it_serves_them_and_logs_json(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'dlkd.db'}"
    upgrade(url)
    database = Database(url)
    with database.write() as session:
        keys.create(session, name="operator")
    database.close()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DLKD_", "OTEL_"))}
    settings = {"DLKD_DATA": str(tmp_path), "DLKD_PORT": "0", "DLKD_HOST": ANYWHERE, "DLKD_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "api"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**clean, "PYTHONPATH": str(ROOT), **settings}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line, rest = _first_and_rest(process)
        finally:
            process.kill()
    assert '"logger": "uvicorn.error"' in line
    assert '"path": "/livez"' in rest
    assert process.returncode in {0, -15}


def _first_and_rest(process: "subprocess.Popen[str]") -> tuple[str, str]:
    stderr = process.stderr
    assert isinstance(stderr, io.TextIOBase)
    line = next(line for line in stderr if "Uvicorn running" in line)
    port = int(line.partition(f"{ANYWHERE}:")[2].partition(" ")[0])
    assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).json() == {"status": "alive"}
    process.terminate()
    return line, stderr.read()
