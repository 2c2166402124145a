"""Model bundles, and signed URLs for model files."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.responses import stream_zip
from registry.access import signed_tokens
from registry.db import database as db
from registry.db.access_tables import AuditEvent
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from tests.api.fake_worker import FakeWorker, list_stored_files
from tests.integration.conftest import s3

__all__ = ["s3"]
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> str:
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    return worker.finish_training(worker.claim("train"), CONTENT)


def test_a_bundle_contains_all_files(client: TestClient, model: str) -> None:
    response = client.get(f"/v1/models/{model}/bundle")
    assert response.headers["Content-Disposition"] == 'attachment; filename="pets-1.zip"'
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        documents = ["manifest.json", "README.md", "config.json", "lineage.json", "report.json"]
        assert archive.namelist() == [*documents, "student.onnx"]
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["model"] == {"name": "pets", "version": 1}
        manifest_digests = {file["name"]: file["sha256"] for file in manifest["files"]}
        assert manifest_digests == {
            name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()[1:]
        }
        assert archive.read("student.onnx") == CONTENT
        assert json.loads(archive.read("report.json"))["architecture"] == "resnet8"
    assert client.get(f"/v1/models/{model}/bundle").content == response.content
    head = client.head(f"/v1/models/{model}/bundle")
    assert (head.content, head.headers["ETag"]) == (b"", response.headers["ETag"])
    assert (
        client.get(
            f"/v1/models/{model}/bundle", headers={"If-None-Match": head.headers["ETag"]}
        ).status_code
        == 304
    )


def test_a_bundle_with_missing_files_fails_before_its_first_byte(
    client: TestClient, model: str, settings: Settings
) -> None:
    for path in list_stored_files(settings):
        path.unlink()
    response = client.get(f"/v1/models/{model}/bundle")
    assert (response.status_code, response.json()["code"]) == (503, "file_missing")


def test_a_zip_archive_is_never_held_in_memory() -> None:
    def megabytes() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(2**20)

    tracemalloc.start()
    total_bytes = sum(len(chunk) for chunk in stream_zip([("a", megabytes()), ("b", megabytes())]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total_bytes > 400 * 2**20
    assert peak < 16 * 2**20


def sign_url(client: TestClient, model: str, **body: Any) -> str:
    response = client.post(f"/v1/models/{model}/files/student.onnx/url", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["url"])


def change_query(url: str, **values: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | values)).geturl()


def test_a_signed_url_needs_no_key(
    client: TestClient, anonymous_client: TestClient, model: str, database: Database
) -> None:
    url = sign_url(client, model, expires_seconds=60)
    assert anonymous_client.get(url).content == CONTENT
    assert anonymous_client.head(url).headers["Content-Length"] == str(len(CONTENT))
    part = anonymous_client.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, CONTENT[1:4])
    with database.read() as session:
        assert session.query(AuditEvent).filter_by(action="file.signed").one().subject == model
    assert sign_url(client, model, expires_seconds=60).startswith(
        "http://127.0.0.1:8000/signed/models/"
    )


def test_a_signed_url_is_valid_for_nothing_else(
    client: TestClient, anonymous_client: TestClient, model: str
) -> None:
    url = sign_url(client, model)
    later = str(int(dict(parse_qsl(urlsplit(url).query))["expires"]) + 1)
    for changed_url in (
        change_query(url, expires=later),
        change_query(url, signature="0" * 64),
        change_query(url, signature="ä"),
        url.replace("student.onnx", "student.safetensors"),
        url.replace(model, "model_x"),
    ):
        response = anonymous_client.get(changed_url)
        assert (response.status_code, response.json()["code"]) == (403, "signature_invalid"), (
            changed_url
        )
    assert anonymous_client.get(url.partition("?")[0]).status_code == 422


def test_a_signed_url_expires_by_the_clock_of_the_database(
    client: TestClient, anonymous_client: TestClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sign_url(client, model, expires_seconds=60)
    monkeypatch.setattr(
        signed_tokens, "now", lambda session: db.now(session) + timedelta(seconds=61)
    )
    response = anonymous_client.get(url)
    assert (response.status_code, response.json()["code"]) == (403, "signature_expired")


def test_no_signature_is_valid_before_the_first_url_was_signed(
    anonymous_client: TestClient,
) -> None:
    response = anonymous_client.get(
        "/signed/models/model_x/files/a?expires=99999999999&signature=" + 64 * "0"
    )
    assert (response.status_code, response.json()["code"]) == (403, "signature_invalid")


@pytest.mark.parametrize("seconds", [0, 604_801])
def test_the_lifetime_of_a_signed_url_is_limited(
    client: TestClient, model: str, seconds: int
) -> None:
    response = client.post(
        f"/v1/models/{model}/files/student.onnx/url", json={"expires_seconds": seconds}
    )
    assert response.status_code == 422


def test_files_in_an_object_store_are_downloaded_from_it(
    s3: str,
    settings: Settings,
    database: Database,
    key: str,
    archive: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    for name, value in {
        **environment,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    store = Store("s3://students/files", scratch=settings.data / "incoming")
    app = create_app(settings, database, InMemoryJobQueue(), store)
    with TestClient(
        app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        dataset = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()["id"]
        worker = FakeWorker(database, store)
        worker.check_dataset()
        client.post(
            "/v1/jobs", json={"student": {"architecture": "resnet8"}, "dataset": {"id": dataset}}
        )
        model = worker.finish_training(worker.claim("train"), CONTENT)
        url = sign_url(client, model, expires_seconds=60)
        assert url.startswith(s3)
        assert "X-Amz-Expires=60" in url
        assert httpx.get(url).content == CONTENT
        with zipfile.ZipFile(
            io.BytesIO(client.get(f"/v1/models/{model}/bundle").content)
        ) as bundle:
            assert bundle.read("student.onnx") == CONTENT
