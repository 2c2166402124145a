"""Login, and shell completion with values from the service to which the user is logged in."""

import json
from pathlib import Path

import pytest

from dlkd_client.cli import credentials
from tests.api.fake_worker import FakeWorker
from tests.dlkd_client.cli_runner import run_dlkd, run_dlkd_json


def test_a_login_is_private_and_used_by_other_commands(url: str, key: str, tmp_path: Path) -> None:
    login = run_dlkd_json("login", url, "--api-key", key)
    assert (login["role"], login["url"]) == ("admin", url)
    file = tmp_path / "xdg_config_home" / "dlkd" / "login.json"
    assert Path(login["file"]) == file == credentials.credentials_file()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert run_dlkd("list", "--json").stdout.strip() == "[]"
    assert run_dlkd_json("whoami")["name"] == "test"
    assert f"admin of {run_dlkd_json('whoami')['owner']}, at {url}" in run_dlkd("whoami").stdout
    assert run_dlkd("logout").exit_code == 0
    assert "dlkd login" in run_dlkd("list").stderr
    assert "Not logged in" in run_dlkd("logout").stderr


def test_the_key_is_prompted_for_and_not_shown(url: str, key: str) -> None:
    result = run_dlkd("login", url, stdin=f"{key}\n")
    assert result.exit_code == 0
    assert key not in result.output
    assert credentials.load_credentials() == (url, key)


@pytest.mark.parametrize(
    ("address", "secret", "message"),
    [
        ("{url}", "dlkd_00000000_wrong", "not valid"),
        ("localhost:8000", "dlkd_1", "must start with http"),
        ("http://127.0.0.1:port", "dlkd_1", "invalid port"),
        ("{url}", "schlüssel", "invalid characters"),
    ],
)
def test_a_failed_login_is_not_saved(url: str, address: str, secret: str, message: str) -> None:
    result = run_dlkd("login", address.format(url=url), "--api-key", secret)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr.lower()
    assert credentials.load_credentials() is None


def complete_in_bash(command_line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the completions that bash would offer for the command line."""
    monkeypatch.setenv("_DLKD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"dlkd {command_line}")
    monkeypatch.setenv("COMP_CWORD", str(len(command_line.split(" "))))
    from typer.testing import CliRunner  # noqa: PLC0415 - imported with the shell's environment

    from dlkd_client.cli.app import app  # noqa: PLC0415 - imported with the shell's environment

    return CliRunner().invoke(app, prog_name="dlkd").stdout.split()


def test_ids_and_names_are_completed(
    spec: str, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = json.loads(run_dlkd("submit", "-", "--json", stdin=spec).stdout)["id"]
    model = worker.finish_training(worker.claim("train"))
    run_dlkd("alias", "mine@champion", model)
    assert complete_in_bash("watch job_", monkeypatch) == [job]
    assert set(complete_in_bash("download ", monkeypatch)) == {model, "mine@champion"}
    assert set(complete_in_bash("show ", monkeypatch)) == {job, model, "mine@champion"}
    assert complete_in_bash("dataset rm ", monkeypatch) == [json.loads(spec)["dataset"]["id"]]
    assert complete_in_bash("teacher rm ", monkeypatch) == []
    assert "resnet56" in complete_in_bash("teacher add x.th --architecture resn", monkeypatch)


def test_without_a_service_nothing_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete_in_bash("watch ", monkeypatch) == []
    monkeypatch.setenv("DLKD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DLKD_API_KEY", "key")
    assert complete_in_bash("watch ", monkeypatch) == []
