"""A service that is remembered, and what the shell is offered of it."""

import json
from pathlib import Path

import pytest

from dlkd_client import logins
from tests.api.conftest import FakeWorker
from tests.dlkd_client.runner import answer, dlkd


def test_a_login_is_kept_for_the_user_alone_and_serves_the_other_commands(url: str, key: str, tmp_path: Path) -> None:
    told = answer("login", url, "--api-key", key)
    assert (told["role"], told["url"]) == ("admin", url)
    file = tmp_path / "xdg_config_home" / "dlkd" / "login.json"
    assert Path(told["file"]) == file == logins.file()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert dlkd("list", "--json").stdout.strip() == "[]"
    assert answer("whoami")["name"] == "test"
    assert f"admin of {answer('whoami')['owner']}, at {url}" in dlkd("whoami").stdout
    assert dlkd("logout").exit_code == 0
    assert "dlkd login" in dlkd("list").stderr
    assert "Nobody is logged in" in dlkd("logout").stderr


def test_the_key_is_asked_for_and_not_shown(url: str, key: str) -> None:
    result = dlkd("login", url, stdin=f"{key}\n")
    assert result.exit_code == 0
    assert key not in result.output
    assert logins.known() == (url, key)


@pytest.mark.parametrize(
    ("address", "secret", "said"),
    [
        ("{url}", "dlkd_00000000_wrong", "not a key"),
        ("localhost:8000", "dlkd_1", "begins with http"),
        ("http://127.0.0.1:port", "dlkd_1", "invalid port"),
        ("{url}", "schlüssel", "characters that no key has"),
    ],
)
def test_what_does_not_work_is_not_remembered(url: str, address: str, secret: str, said: str) -> None:
    result = dlkd("login", address.format(url=url), "--api-key", secret)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr.lower()
    assert logins.known() is None


def offered(words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash would show after a tab."""
    monkeypatch.setenv("_DLKD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"dlkd {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    from typer.testing import CliRunner  # noqa: PLC0415 - the words of the shell are its own

    from dlkd_client.command import app  # noqa: PLC0415 - as above

    return CliRunner().invoke(app, prog_name="dlkd").stdout.split()


def test_ids_and_names_are_completed(spec: str, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = json.loads(dlkd("submit", "-", "--json", stdin=spec).stdout)["id"]
    model = worker.train(worker.claim("train"))
    dlkd("alias", "mine@champion", model)
    assert offered("watch job_", monkeypatch) == [job]
    assert set(offered("download ", monkeypatch)) == {model, "mine@champion"}
    assert set(offered("show ", monkeypatch)) == {job, model, "mine@champion"}
    assert offered("dataset rm ", monkeypatch) == [json.loads(spec)["dataset"]["id"]]
    assert offered("teacher rm ", monkeypatch) == []
    assert "resnet56" in offered("teacher add x.th --architecture resn", monkeypatch)


def test_without_a_service_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered("watch ", monkeypatch) == []
    monkeypatch.setenv("DLKD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DLKD_API_KEY", "key")
    assert offered("watch ", monkeypatch) == []
