"""Commands on the service's own parts, without the service."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from dlkd_client.command import app
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from tests.dlkd_client.runner import answer, dlkd

SILENT = {"api", "worker", "logout", "upgrade"}  # they print nothing for programs


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLKD_DATA", str(tmp_path / "data"))
    assert dlkd("db", "upgrade").exit_code == 0
    return tmp_path / "data"


def test_a_key_is_made_and_good(data: Path) -> None:
    from registry import keys  # noqa: PLC0415 - of the service alone

    made = answer("key", "add", "ada", "--role", "viewer", "--owner", "vision")
    database = Database(f"sqlite:///{data / 'dlkd.db'}")
    with database.read() as session:
        assert (keys.authenticate(session, made["key"]).owner, made["role"]) == ("vision", "viewer")
    database.close()
    assert "no role king" in dlkd("key", "add", "ada", "--role", "king").stderr


def test_garbage_is_named_first_and_removed_then(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_GC_GRACE_SECONDS", "0")
    stored = Store(Settings().store_url).put([b"nobody names this"])
    said = dlkd("admin", "gc", "--dry-run", "--json")
    assert [json.loads(line)["bytes"] for line in said.stdout.splitlines()] == [stored.size]
    assert f"{stored.size} bytes would be free" in said.stderr
    assert stored.digest in dlkd("admin", "gc").stdout
    assert dlkd("admin", "gc", "--dry-run").stdout == ""
    assert data.exists()


def commands(group: Any, *path: str) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, command in group.commands.items():
        inner = commands(command, *path, name) if hasattr(command, "commands") else [((*path, name), command)]
        found += inner
    return found


def test_every_command_that_prints_something_prints_json() -> None:
    every = commands(get_command(app))
    assert len(every) > 25
    without = {path[-1] for path, command in every if not any("--json" in option.opts for option in command.params)}
    assert without == SILENT


def test_every_command_explains_itself_and_its_options() -> None:
    for path, command in commands(get_command(app)):
        assert command.help, path
        assert not [option.name for option in command.params if isinstance(option, typer.core.TyperOption) and not option.help]
