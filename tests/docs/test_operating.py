"""docs/operating.md: what it tells to type does what it says, and it names every metric."""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from api.collector import Rows
from api.meter import Requests
from api.routes.health import ALIVE
from dlkd_client.client import Client
from registry.settings import Settings
from registry.testing import fresh_database
from tests.service import ready, stopped, up
from worker import metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text()
BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def typed(commands: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(database: Path) -> dict[str, list[Any]]:
    """All that does not change while nobody asks for anything; workers and leaders come and go."""
    with sqlite3.connect(database) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        found = {table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}"))) for table in tables}  # noqa: S608 - names of the schema
    connection.close()
    return {table: lines for table, lines in found.items() if table not in {"workers", "leaders", "api_keys"}}


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="this machine has no sqlite3 command")
def test_a_back_up_of_a_living_service_is_restored_as_typed(tmp_path: Path, stripes: Path) -> None:
    data, restored = tmp_path / "data", tmp_path / "restored"
    with up(data) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            kept = client.ready(client.upload_dataset(stripes))
            typed(BACKUP, tmp_path)
            then = rows(tmp_path / "backup" / "dlkd.db")
        assert stopped(process)[0] == 0
    shutil.rmtree(data)
    assert typed(RESTORE, tmp_path).strip() == "ok"
    assert rows(restored / "dlkd.db") == then
    with sqlite3.connect(restored / "dlkd.db") as connection:
        named = connection.execute("SELECT digest FROM artifacts").fetchall()
    connection.close()
    files = {path.name: path for path in (restored / "store" / "objects").rglob("*") if path.is_file()}
    assert len(named) == 3  # the archive, its packed form, and the picture of its samples
    assert all(hashlib.sha256(files[digest].read_bytes()).hexdigest() == digest for (digest,) in named)
    with up(restored) as process:
        again = ready(process)
        assert again["api_key"] == running["api_key"]
        with Client(again["url"], again["api_key"]) as client:
            assert client.dataset(kept.id) == kept
        assert stopped(process)[0] == 0


def families(registry: CollectorRegistry) -> set[str]:
    found = re.findall(r"^# TYPE (dlkd_\w+)", generate_latest(registry).decode(), re.MULTILINE)
    return {name for name in found if not name.endswith("_created")}


def test_every_metric_is_explained_and_no_other(tmp_path: Path) -> None:
    of_api = CollectorRegistry()
    Requests(of_api)
    kit, slots = SimpleNamespace(scratch=tmp_path, worker_id="w"), SimpleNamespace(count=Counter, busy=Counter)
    with fresh_database(tmp_path) as database:
        of_api.register(Rows(database, ALIVE))
        served = families(of_api) | families(metrics._registry(cast("Any", kit), cast("Any", slots)))
    cells = re.findall(r"^\| (`dlkd_[^|]+) \|", PAGE, re.MULTILINE)
    explained = {name for cell in cells for name in re.findall(r"`(dlkd_\w+)`", cell)}
    assert explained == served


def test_every_setting_and_path_that_it_names_exists() -> None:
    names = {name for name in re.findall(r"\bDLKD_[A-Z_]+\b", PAGE) if not name.endswith("_")}
    assert names <= {f"DLKD_{name.upper()}" for name in Settings.model_fields}
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    assert all((DOCS / link).exists() for link in links)
