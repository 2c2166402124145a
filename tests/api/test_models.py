"""Models and the download of their files."""

from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.conftest import FakeWorker, files_in

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> str:
    client.post("/v1/jobs", json=spec | {"name": "small one"})
    return worker.train(worker.claim("train"), CONTENT)


@pytest.fixture
def url(model: str) -> str:
    return f"/v1/models/{model}/files/student.onnx"


def test_a_model_tells_its_metrics_and_files(client: TestClient, model: str, url: str) -> None:
    found = client.get(f"/v1/models/{model}").json()
    assert (found["id"], found["architecture"], found["parameters"]) == (model, "resnet8", 78_042)
    assert (found["metrics"]["teacher"]["top1"], found["metrics"]["student"]["top1"]) == (0.75, 0.5)
    file = {"name": "student.onnx", "format": "onnx", "size": len(CONTENT), "sha256": sha256(CONTENT).hexdigest()}
    assert found["files"] == [file | {"top1": 0.5, "latency_ms": 1.5, "url": url}]
    assert client.get(f"/v1/jobs/{found['job_id']}").json()["model_id"] == model
    assert client.get("/v1/models").json()["items"] == [found]


def test_a_file_comes_with_its_digest(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    digest = sha256(CONTENT)
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert b64decode(answer.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")) == digest.digest()
    assert b64decode(answer.headers["Digest"].removeprefix("sha-256=")) == digest.digest()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="student.onnx"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_the_head_of_a_file_says_the_same_without_the_file(client: TestClient, url: str) -> None:
    whole, head = client.get(url), client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Length", "Repr-Digest", "Accept-Ranges", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=0-9", 0, 10), ("bytes=255990-", 255_990, 256_000), ("bytes=-5", 255_995, 256_000)]
)
def test_a_part_of_a_file_can_be_had(client: TestClient, url: str, asked: str, start: int, end: int) -> None:
    answer = client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_part_beyond_the_end_is_refused(client: TestClient, url: str) -> None:
    answer = client.get(url, headers={"Range": "bytes=256000-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_part_of_another_version_is_not_given(client: TestClient, url: str) -> None:
    etag = client.head(url).headers["ETag"]
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).content == CONTENT


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_the_file_already_is_told_so(client: TestClient, url: str, form: str) -> None:
    etag = client.head(url).headers["ETag"]
    answer = client.get(url, headers={"If-None-Match": form.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["student.pt", "%2e%2e%2fapi_key", "student.onnx%00"])
def test_only_the_model_s_files_can_be_had(client: TestClient, model: str, name: str) -> None:
    answer = client.get(f"/v1/models/{model}/files/{name}")
    assert answer.status_code == 404


def test_a_file_that_was_lost_is_a_failure_of_the_server(client: TestClient, settings: Settings, url: str) -> None:
    for path in files_in(settings):
        path.unlink()
    answer = client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (503, "file_missing")
