"""All of a model in one zip, and addresses that need no key."""

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
from api.zipped import zipped
from registry import db, signatures
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.tables import AuditEvent
from registry.testing import MemoryQueue
from tests.api.conftest import FakeWorker, files_in
from tests.integration.conftest import s3

__all__ = ["s3"]
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> str:
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    return worker.train(worker.claim("train"), CONTENT)


def test_a_bundle_is_made_of_all_files(client: TestClient, model: str) -> None:
    answer = client.get(f"/v1/models/{model}/bundle")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="pets-1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        texts = ["manifest.json", "README.md", "config.json", "lineage.json", "report.json"]
        assert archive.namelist() == [*texts, "student.onnx"]
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["model"] == {"name": "pets", "version": 1}
        told = {file["name"]: file["sha256"] for file in manifest["files"]}
        assert told == {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()[1:]}
        assert archive.read("student.onnx") == CONTENT
        assert json.loads(archive.read("report.json"))["architecture"] == "resnet8"
    assert client.get(f"/v1/models/{model}/bundle").content == answer.content
    head = client.head(f"/v1/models/{model}/bundle")
    assert (head.content, head.headers["ETag"]) == (b"", answer.headers["ETag"])
    assert client.get(f"/v1/models/{model}/bundle", headers={"If-None-Match": head.headers["ETag"]}).status_code == 304


def test_a_bundle_of_lost_files_is_refused_before_it_begins(client: TestClient, model: str, settings: Settings) -> None:
    for path in files_in(settings):
        path.unlink()
    answer = client.get(f"/v1/models/{model}/bundle")
    assert (answer.status_code, answer.json()["code"]) == (503, "file_missing")


def test_a_zip_is_never_whole_in_memory() -> None:
    def megabytes() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(2**20)

    tracemalloc.start()
    size = sum(len(piece) for piece in zipped([("a", megabytes()), ("b", megabytes())]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 400 * 2**20
    assert peak < 16 * 2**20


def signed(client: TestClient, model: str, **form: Any) -> str:
    answer = client.post(f"/v1/models/{model}/files/student.onnx/url", json=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def changed(url: str, **values: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | values)).geturl()


def test_a_signed_address_needs_no_key(client: TestClient, stranger: TestClient, model: str, database: Database) -> None:
    url = signed(client, model, expires_seconds=60)
    assert stranger.get(url).content == CONTENT
    assert stranger.head(url).headers["Content-Length"] == str(len(CONTENT))
    part = stranger.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, CONTENT[1:4])
    with database.read() as session:
        assert session.query(AuditEvent).filter_by(action="file.signed").one().subject == model
    assert signed(client, model, expires_seconds=60).startswith("http://127.0.0.1:8000/signed/models/")


def test_a_signed_address_is_good_for_nothing_else(client: TestClient, stranger: TestClient, model: str) -> None:
    url = signed(client, model)
    later = str(int(dict(parse_qsl(urlsplit(url).query))["expires"]) + 1)
    for other in (
        changed(url, expires=later),
        changed(url, signature="0" * 64),
        changed(url, signature="ä"),
        url.replace("student.onnx", "student.safetensors"),
        url.replace(model, "model_x"),
    ):
        answer = stranger.get(other)
        assert (answer.status_code, answer.json()["code"]) == (403, "signature_invalid"), other
    assert stranger.get(url.partition("?")[0]).status_code == 422


def test_a_signed_address_expires_by_the_database_s_clock(
    client: TestClient, stranger: TestClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = signed(client, model, expires_seconds=60)
    monkeypatch.setattr(signatures, "now", lambda session: db.now(session) + timedelta(seconds=61))
    answer = stranger.get(url)
    assert (answer.status_code, answer.json()["code"]) == (403, "signature_expired")


def test_without_any_signature_given_out_none_is_good(stranger: TestClient) -> None:
    answer = stranger.get("/signed/models/model_x/files/a?expires=99999999999&signature=" + 64 * "0")
    assert (answer.status_code, answer.json()["code"]) == (403, "signature_invalid")


@pytest.mark.parametrize("seconds", [0, 604_801])
def test_an_address_for_ever_is_not_given_out(client: TestClient, model: str, seconds: int) -> None:
    answer = client.post(f"/v1/models/{model}/files/student.onnx/url", json={"expires_seconds": seconds})
    assert answer.status_code == 422


def test_an_object_store_serves_its_files_itself(
    s3: str, settings: Settings, database: Database, key: str, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    for name, value in {**facts, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    store = Store("s3://students/files", scratch=settings.data / "incoming")
    app = create_app(settings, database, MemoryQueue(), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        dataset = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()["id"]
        worker = FakeWorker(database, store)
        worker.check_dataset()
        client.post("/v1/jobs", json={"student": {"architecture": "resnet8"}, "dataset": {"id": dataset}})
        model = worker.train(worker.claim("train"), CONTENT)
        url = signed(client, model, expires_seconds=60)
        assert url.startswith(s3)
        assert "X-Amz-Expires=60" in url
        assert httpx.get(url).content == CONTENT
        with zipfile.ZipFile(io.BytesIO(client.get(f"/v1/models/{model}/bundle").content)) as bundle:
            assert bundle.read("student.onnx") == CONTENT
