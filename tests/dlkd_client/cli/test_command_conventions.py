"""Commands that manage the service on this machine, and conventions for all commands."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from dlkd_client.cli.app import app
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from tests.dlkd_client.cli_runner import run_dlkd, run_dlkd_json

COMMANDS_WITHOUT_JSON = {"api", "worker", "logout", "upgrade"}  # these print no result


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLKD_DATA", str(tmp_path / "data"))
    assert run_dlkd("db", "upgrade").exit_code == 0
    return tmp_path / "data"


def test_a_created_key_is_valid(data: Path) -> None:
    from registry.access import api_keys  # noqa: PLC0415 - only this test needs it

    created = run_dlkd_json("key", "add", "ada", "--role", "viewer", "--owner", "vision")
    database = Database(f"sqlite:///{data / 'dlkd.db'}")
    with database.read() as session:
        assert (api_keys.authenticate(session, created["key"]).owner, created["role"]) == (
            "vision",
            "viewer",
        )
    database.close()
    assert "Unknown role king" in run_dlkd("key", "add", "ada", "--role", "king").stderr


def test_garbage_is_listed_by_a_dry_run_and_then_removed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLKD_GC_GRACE_SECONDS", "0")
    stored = Store(Settings().store_url).put([b"unreferenced"])
    dry_run = run_dlkd("admin", "gc", "--dry-run", "--json")
    assert [json.loads(line)["bytes"] for line in dry_run.stdout.splitlines()] == [stored.size]
    assert f"{stored.size} bytes would be freed" in dry_run.stderr
    assert stored.digest in run_dlkd("admin", "gc").stdout
    assert run_dlkd("admin", "gc", "--dry-run").stdout == ""
    assert data.exists()


def list_commands(group: Any, *path: str) -> list[tuple[tuple[str, ...], Any]]:
    commands = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            commands += list_commands(command, *path, name)
        else:
            commands.append(((*path, name), command))
    return commands


def test_every_command_with_a_result_prints_json() -> None:
    commands = list_commands(get_command(app))
    assert len(commands) > 25
    without = {
        path[-1]
        for path, command in commands
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == COMMANDS_WITHOUT_JSON


def test_every_command_and_option_has_help() -> None:
    for path, command in list_commands(get_command(app)):
        assert command.help, path
        assert not [
            option.name
            for option in command.params
            if isinstance(option, typer.core.TyperOption) and not option.help
        ]
