"""Model details and downloads of model files."""

from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.fake_worker import FakeWorker, list_stored_files

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> str:
    client.post("/v1/jobs", json=spec | {"name": "small one"})
    return worker.finish_training(worker.claim("train"), CONTENT)


@pytest.fixture
def url(model: str) -> str:
    return f"/v1/models/{model}/files/student.onnx"


def test_a_model_has_its_metrics_and_files(client: TestClient, model: str, url: str) -> None:
    body = client.get(f"/v1/models/{model}").json()
    assert (body["id"], body["architecture"], body["parameters"]) == (model, "resnet8", 78_042)
    assert (body["metrics"]["teacher"]["top1"], body["metrics"]["student"]["top1"]) == (0.75, 0.5)
    file = {
        "name": "student.onnx",
        "format": "onnx",
        "size": len(CONTENT),
        "sha256": sha256(CONTENT).hexdigest(),
    }
    assert body["files"] == [file | {"top1": 0.5, "latency_ms": 1.5, "url": url}]
    assert client.get(f"/v1/jobs/{body['job_id']}").json()["model_id"] == model
    assert client.get("/v1/models").json()["items"] == [body]


def test_a_file_is_sent_with_its_digest(client: TestClient, url: str) -> None:
    response = client.get(url)
    assert (response.status_code, response.content) == (200, CONTENT)
    digest = sha256(CONTENT)
    assert response.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert (
        b64decode(response.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":"))
        == digest.digest()
    )
    assert b64decode(response.headers["Digest"].removeprefix("sha-256=")) == digest.digest()
    assert response.headers["Content-Disposition"] == 'attachment; filename="student.onnx"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Accept-Ranges"] == "bytes"


def test_a_head_request_has_the_same_headers(client: TestClient, url: str) -> None:
    whole, head = client.get(url), client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Length", "Repr-Digest", "Accept-Ranges", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("range_header", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=255990-", 255_990, 256_000), ("bytes=-5", 255_995, 256_000)],
)
def test_a_range_of_a_file_is_sent(
    client: TestClient, url: str, range_header: str, start: int, end: int
) -> None:
    response = client.get(url, headers={"Range": range_header})
    assert (response.status_code, response.content) == (206, CONTENT[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_range_beyond_the_end_is_rejected(client: TestClient, url: str) -> None:
    response = client.get(url, headers={"Range": "bytes=256000-"})
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_range_of_another_version_is_not_sent(client: TestClient, url: str) -> None:
    etag = client.head(url).headers["ETag"]
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).content == CONTENT


@pytest.mark.parametrize("header", ["{}", "W/{}", '"other", {}', "*"])
def test_an_unchanged_file_is_not_sent_again(client: TestClient, url: str, header: str) -> None:
    etag = client.head(url).headers["ETag"]
    response = client.get(url, headers={"If-None-Match": header.format(etag)})
    assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["student.pt", "%2e%2e%2fapi_key", "student.onnx%00"])
def test_only_files_of_the_model_are_served(client: TestClient, model: str, name: str) -> None:
    response = client.get(f"/v1/models/{model}/files/{name}")
    assert response.status_code == 404


def test_a_missing_file_is_a_server_error(client: TestClient, settings: Settings, url: str) -> None:
    for path in list_stored_files(settings):
        path.unlink()
    response = client.get(url)
    assert (response.status_code, response.json()["code"]) == (503, "file_missing")
