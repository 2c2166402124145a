"""Teacher and dataset uploads.

Uploads are streamed into the store. If the first bytes show that a file is invalid, the upload is
rejected and the store keeps no part of the file.
"""

import gzip
import io
import json
import tarfile
import tracemalloc
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry.settings import Settings
from registry.testing import InMemoryJobQueue
from tests.api.asgi_client import call_app
from tests.api.fake_worker import CHECKPOINT, FakeWorker, list_stored_files


def build_tar(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as packed:  # type: ignore[call-overload]
        member = tarfile.TarInfo("train/cat/1.png")
        member.size = 3
        packed.addfile(member, io.BytesIO(b"png"))
    return buffer.getvalue()


def test_an_uploaded_teacher_waits_for_its_check(
    client: TestClient, queue: InMemoryJobQueue, settings: Settings
) -> None:
    mean_std = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    fields = {
        "name": "big one",
        "architecture": "resnet56",
        "num_classes": "10",
        "normalization": json.dumps(mean_std),
    }
    response = client.post("/v1/teachers", data=fields, files={"file": ("big.th", CHECKPOINT)})
    assert response.status_code == 201
    teacher = response.json()
    assert response.headers["Location"] == f"/v1/teachers/{teacher['id']}"
    declared = {
        "name": "big one",
        "architecture": "resnet56",
        "num_classes": 10,
        "normalization": mean_std,
        "format": "torch",
    }
    expected = declared | {
        "status": "validating",
        "sha256": sha256(CHECKPOINT).hexdigest(),
        "size": len(CHECKPOINT),
        "error": None,
    }
    assert {name: teacher[name] for name in expected} == expected
    assert client.get(response.headers["Location"]).json() == teacher
    assert [name for name, _ in queue.sent] == ["checks"]
    assert [path.read_bytes() for path in list_stored_files(settings)] == [CHECKPOINT]


def test_a_checked_teacher_shows_its_detected_properties(
    client: TestClient, worker: FakeWorker
) -> None:
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.check_teacher()
    checked = client.get(f"/v1/teachers/{created['id']}").json()
    assert (
        checked["status"],
        checked["architecture"],
        checked["num_classes"],
        checked["parameters"],
        checked["notices"],
    ) == (
        "ready",
        "resnet20",
        2,
        272_474,
        ["Its classifier is fc.1."],
    )


def test_an_invalid_teacher_shows_the_error(client: TestClient, worker: FakeWorker) -> None:
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.fail_check(
        {
            "code": "keys_do_not_fit",
            "message": "conv1.weight is missing",
            "hint": "Send another",
            "retryable": False,
        }
    )
    checked = client.get(f"/v1/teachers/{created['id']}").json()
    assert (checked["status"], checked["error"]["code"], checked["error"]["message"]) == (
        "invalid",
        "keys_do_not_fit",
        "conv1.weight is missing",
    )


@pytest.mark.parametrize(
    ("path", "filename", "content", "code"),
    [
        (
            "/v1/teachers",
            "model.pth",
            b"This is a text, not a checkpoint.\n",
            "checkpoint_unreadable",
        ),
        ("/v1/teachers", "model.pth", b"", "checkpoint_unreadable"),
        ("/v1/datasets", "pets.zip", b"This is a text, not an archive.\n", "archive_unreadable"),
        ("/v1/datasets", "pets.zip", b"", "archive_unreadable"),
        (
            "/v1/datasets",
            "pets.tar.gz",
            gzip.compress(b"a text in gzip " * 100, mtime=0),
            "archive_unreadable",
        ),
        ("/v1/datasets", "pets.tar", bytes(4096), "archive_unreadable"),
    ],
)
def test_another_kind_of_file_is_rejected_at_once(
    client: TestClient, settings: Settings, path: str, filename: str, content: bytes, code: str
) -> None:
    response = client.post(path, files={"file": (filename, content)})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert response.json()["hint"]
    assert [entry["pointer"] for entry in response.json()["errors"]] == ["/file"]
    assert list_stored_files(settings) == []
    assert client.get(path).json()["items"] == []


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"architecture": "resnet57"}, "/architecture"),
        ({"num_classes": "many"}, "/num_classes"),
        ({"normalization": "{"}, "/normalization"),
        ({"normalization": '{"mean": [1, 2, 3]}'}, "/normalization/std"),
        ({"normalization": '{"mean": [0, 0, 0], "std": [1, 0, 1]}'}, "/normalization/std/1"),
        ({"name": "x" * 201}, "/name"),
        ({"colour": "red"}, "/colour"),
        ({"name": "x" * 70_000}, "/name"),
    ],
)
def test_nothing_is_kept_if_a_field_is_invalid(
    client: TestClient, settings: Settings, fields: dict[str, str], pointer: str
) -> None:
    response = client.post("/v1/teachers", data=fields, files={"file": ("big.th", CHECKPOINT)})
    assert response.status_code == 422
    assert [entry["pointer"] for entry in response.json()["errors"]] == [pointer]
    assert list_stored_files(settings) == []


def test_an_unknown_architecture_gets_similar_names_as_a_hint(client: TestClient) -> None:
    problem = client.post(
        "/v1/teachers", data={"architecture": "resnet57"}, files={"file": ("a.th", CHECKPOINT)}
    ).json()
    assert "resnet56" in problem["hint"]


def test_fields_may_follow_the_file(client: TestClient) -> None:
    parts = [("file", ("a.th", CHECKPOINT)), ("name", (None, b"late"))]
    assert client.post("/v1/teachers", files=parts).json()["name"] == "late"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("other", ("a", b"x"))], "neither a part named `file`"),
        (
            [("file", ("a.th", CHECKPOINT)), ("file", ("b.th", CHECKPOINT))],
            "two parts named `file`",
        ),
        ([(f"field{number}", (None, b"x")) for number in range(40)], "more than 32 parts"),
    ],
)
def test_a_form_with_other_parts_is_rejected(
    client: TestClient, settings: Settings, parts: Any, message: str
) -> None:
    response = client.post("/v1/teachers", files=parts)
    assert (response.status_code, response.json()["code"]) == (422, "form_invalid")
    assert message in response.json()["detail"]
    assert list_stored_files(settings) == []


def test_a_body_that_is_not_a_form_is_rejected(client: TestClient) -> None:
    response = client.post("/v1/teachers", json={"file": "a.th"})
    assert (response.status_code, response.json()["code"]) == (422, "form_invalid")


def test_a_form_with_too_many_fields_is_rejected(client: TestClient) -> None:
    body = "&".join(f"field{number}=1" for number in range(40))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post("/v1/teachers", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "form_invalid")


def test_nothing_is_kept_of_a_truncated_form(client: TestClient, settings: Settings) -> None:
    response = client.post(
        "/v1/teachers",
        content=build_form(b"a.th"),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (response.status_code, response.json()["code"]) == (422, "form_invalid")
    assert list_stored_files(settings) == []


def test_a_file_above_the_limit_is_rejected_while_it_is_received(
    client: TestClient, settings: Settings
) -> None:
    response = client.post(
        "/v1/teachers", files={"file": ("a.th", CHECKPOINT + bytes(settings.max_upload_bytes))}
    )
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")
    assert list_stored_files(settings) == []


def build_form(filename: bytes) -> bytes:
    return (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
        + filename
        + b'"\r\n\r\n'
        + CHECKPOINT
    )


def test_an_upload_needs_memory_for_only_some_chunks(
    app: FastAPI, key: str, settings: Settings
) -> None:
    chunks = (settings.max_upload_bytes - len(CHECKPOINT)) // 2**16
    body = iter([build_form(b"a.th"), *[b""] * chunks, b"\r\n--x--\r\n"])

    async def receive() -> dict[str, Any]:
        chunk = next(body, None)
        content = bytes(2**16) if chunk == b"" else chunk or b""
        return {"type": "http.request", "body": content, "more_body": chunk != b"\r\n--x--\r\n"}

    headers = [
        (b"authorization", b"Bearer " + key.encode()),
        (b"content-type", b"multipart/form-data; boundary=x"),
    ]
    tracemalloc.start()
    try:
        status = call_app(app, "POST", "/v1/teachers", headers, receive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 201
    assert [path.stat().st_size for path in list_stored_files(settings)] == [
        len(CHECKPOINT) + chunks * 2**16
    ]
    assert peak < settings.max_upload_bytes / 4


@pytest.mark.parametrize(
    ("filename", "content"),
    [("a.tar", build_tar("w")), ("a.tar.gz", build_tar("w:gz")), ("a.tgz", build_tar("w:gz"))],
    # Without fixed ids, test processes would disagree, because gzip output contains the time.
    ids=["tar", "tar.gz", "tgz"],
)
def test_a_tar_archive_is_accepted_as_a_data_set(
    client: TestClient, filename: str, content: bytes
) -> None:
    response = client.post(
        "/v1/datasets", data={"name": "pets"}, files={"file": (filename, content)}
    )
    assert (response.status_code, response.json()["status"], response.json()["name"]) == (
        201,
        "validating",
        "pets",
    )


def test_a_checked_data_set_shows_its_contents(client: TestClient, dataset: str) -> None:
    checked = client.get(f"/v1/datasets/{dataset}").json()
    assert (checked["status"], checked["classes"], checked["splits"]) == (
        "ready",
        ["cat", "dog"],
        {"train": 8, "val": 4},
    )
    assert checked["image"] == {"channels": 3, "height": 32, "width": 32}
    assert checked["class_counts"] == {"train": [5, 3], "val": [2, 2]}


def test_samples_of_a_data_set_are_an_image_with_a_layout(client: TestClient, dataset: str) -> None:
    path = f"/v1/datasets/{dataset}/samples"
    assert client.get(f"/v1/datasets/{dataset}").json()["samples"]["classes"] == [0, 1]
    image = client.get(path)
    assert (image.headers["Content-Type"], image.content) == ("image/webp", b"samples.webp")
    assert client.get(path, headers={"If-None-Match": image.headers["ETag"]}).status_code == 304


def test_a_data_set_that_is_being_checked_has_no_samples_yet(client: TestClient) -> None:
    dataset = client.post("/v1/datasets", files={"file": ("a.tar", build_tar("w"))}).json()["id"]
    assert client.get(f"/v1/datasets/{dataset}/samples").json()["code"] == "not_found"


def test_folders_are_removed_from_a_filename(client: TestClient) -> None:
    body = build_form(b"../..\\etc/pass\twd.th") + b"\r\n--x--\r\n"
    response = client.post(
        "/v1/teachers", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert response.json()["name"] == "passwd.th"


def test_the_same_upload_sent_twice_with_one_key_is_stored_once(
    client: TestClient, queue: InMemoryJobQueue
) -> None:
    responses = [
        client.post(
            "/v1/teachers", files={"file": ("a.th", CHECKPOINT)}, headers={"Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()
    assert len(client.get("/v1/teachers").json()["items"]) == len(queue.sent) == 1


def test_another_upload_with_the_same_key_is_rejected(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post("/v1/teachers", files={"file": ("a.th", CHECKPOINT)}, headers=headers)
    response = client.post(
        "/v1/teachers", files={"file": ("a.th", CHECKPOINT + b"x")}, headers=headers
    )
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


def test_lists_come_in_pages_newest_first(client: TestClient) -> None:
    ids = [
        client.post("/v1/teachers", files={"file": (f"{n}.th", CHECKPOINT)}).json()["id"]
        for n in range(3)
    ]
    first = client.get("/v1/teachers", params={"limit": 2}).json()
    second = client.get("/v1/teachers", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
