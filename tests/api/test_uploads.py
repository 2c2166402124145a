"""Uploads: streamed into the store, judged by their first bytes; where anything is wrong, nothing is left behind."""

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
from registry.testing import MemoryQueue
from tests.api.asgi import status_of
from tests.api.conftest import CHECKPOINT, FakeWorker, files_in


def tar(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as packed:  # type: ignore[call-overload]
        member = tarfile.TarInfo("train/cat/1.png")
        member.size = 3
        packed.addfile(member, io.BytesIO(b"png"))
    return buffer.getvalue()


def test_a_teacher_is_taken_in_and_waits_for_its_check(client: TestClient, queue: MemoryQueue, settings: Settings) -> None:
    mean_std = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    said = {"name": "big one", "architecture": "resnet56", "num_classes": "10", "normalization": json.dumps(mean_std)}
    answer = client.post("/v1/teachers", data=said, files={"file": ("big.th", CHECKPOINT)})
    assert answer.status_code == 201
    teacher = answer.json()
    assert answer.headers["Location"] == f"/v1/teachers/{teacher['id']}"
    facts = {"name": "big one", "architecture": "resnet56", "num_classes": 10, "normalization": mean_std, "format": "torch"}
    expected = facts | {"status": "validating", "sha256": sha256(CHECKPOINT).hexdigest(), "size": len(CHECKPOINT), "error": None}
    assert {name: teacher[name] for name in expected} == expected
    assert client.get(answer.headers["Location"]).json() == teacher
    assert [name for name, _ in queue.sent] == ["checks"]
    assert [path.read_bytes() for path in files_in(settings)] == [CHECKPOINT]


def test_a_checked_teacher_tells_what_was_found(client: TestClient, worker: FakeWorker) -> None:
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.check_teacher()
    found = client.get(f"/v1/teachers/{created['id']}").json()
    assert (found["status"], found["architecture"], found["num_classes"], found["parameters"]) == (
        "ready",
        "resnet20",
        2,
        272_474,
    )


def test_an_unfit_teacher_tells_why(client: TestClient, worker: FakeWorker) -> None:
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.refuse({"code": "keys_do_not_fit", "message": "conv1.weight is missing", "hint": "Send another", "retryable": False})
    found = client.get(f"/v1/teachers/{created['id']}").json()
    assert (found["status"], found["error"]["code"], found["error"]["message"]) == (
        "invalid",
        "keys_do_not_fit",
        "conv1.weight is missing",
    )


@pytest.mark.parametrize(
    ("path", "filename", "content", "code"),
    [
        ("/v1/teachers", "model.pth", b"This is a text, not a checkpoint.\n", "checkpoint_unreadable"),
        ("/v1/teachers", "model.pth", b"", "checkpoint_unreadable"),
        ("/v1/datasets", "pets.zip", b"This is a text, not an archive.\n", "archive_unreadable"),
        ("/v1/datasets", "pets.zip", b"", "archive_unreadable"),
        ("/v1/datasets", "pets.tar.gz", gzip.compress(b"a text in gzip " * 100, mtime=0), "archive_unreadable"),
        ("/v1/datasets", "pets.tar", bytes(4096), "archive_unreadable"),
    ],
)
def test_another_kind_of_file_is_refused_at_once(
    client: TestClient, settings: Settings, path: str, filename: str, content: bytes, code: str
) -> None:
    answer = client.post(path, files={"file": (filename, content)})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["hint"]
    assert [entry["pointer"] for entry in answer.json()["errors"]] == ["/file"]
    assert files_in(settings) == []
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
def test_a_wrong_field_beside_a_good_file_keeps_nothing(
    client: TestClient, settings: Settings, fields: dict[str, str], pointer: str
) -> None:
    answer = client.post("/v1/teachers", data=fields, files={"file": ("big.th", CHECKPOINT)})
    assert answer.status_code == 422
    assert [entry["pointer"] for entry in answer.json()["errors"]] == [pointer]
    assert files_in(settings) == []


def test_an_unknown_architecture_comes_with_the_near_ones(client: TestClient) -> None:
    problem = client.post("/v1/teachers", data={"architecture": "resnet57"}, files={"file": ("a.th", CHECKPOINT)}).json()
    assert "resnet56" in problem["hint"]


def test_fields_may_come_after_the_file(client: TestClient) -> None:
    parts = [("file", ("a.th", CHECKPOINT)), ("name", (None, b"late"))]
    assert client.post("/v1/teachers", files=parts).json()["name"] == "late"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("other", ("a", b"x"))], "no part called file"),
        ([("file", ("a.th", CHECKPOINT)), ("file", ("b.th", CHECKPOINT))], "two parts called file"),
        ([(f"field{number}", (None, b"x")) for number in range(40)], "more than 32 parts"),
    ],
)
def test_a_form_of_another_shape_is_refused(client: TestClient, settings: Settings, parts: Any, words: str) -> None:
    answer = client.post("/v1/teachers", files=parts)
    assert (answer.status_code, answer.json()["code"]) == (422, "form_invalid")
    assert words in answer.json()["detail"]
    assert files_in(settings) == []


def test_a_body_that_is_no_form_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/teachers", json={"file": "a.th"})
    assert (answer.status_code, answer.json()["code"]) == (422, "form_invalid")


def test_a_form_that_is_cut_off_keeps_nothing(client: TestClient, settings: Settings) -> None:
    answer = client.post("/v1/teachers", content=form(b"a.th"), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "form_invalid")
    assert files_in(settings) == []


def test_a_file_above_the_cap_is_refused_while_it_comes(client: TestClient, settings: Settings) -> None:
    answer = client.post("/v1/teachers", files={"file": ("a.th", CHECKPOINT + bytes(settings.max_upload_bytes))})
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert files_in(settings) == []


def form(filename: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + filename + b'"\r\n\r\n' + CHECKPOINT


def test_an_upload_takes_the_memory_of_some_chunks(app: FastAPI, key: str, settings: Settings) -> None:
    chunks = (settings.max_upload_bytes - len(CHECKPOINT)) // 2**16
    body = iter([form(b"a.th"), *[b""] * chunks, b"\r\n--x--\r\n"])

    async def receive() -> dict[str, Any]:
        piece = next(body, None)
        content = bytes(2**16) if piece == b"" else piece or b""
        return {"type": "http.request", "body": content, "more_body": piece != b"\r\n--x--\r\n"}

    headers = [(b"authorization", b"Bearer " + key.encode()), (b"content-type", b"multipart/form-data; boundary=x")]
    tracemalloc.start()
    try:
        status = status_of(app, "POST", "/v1/teachers", headers, receive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 201
    assert [path.stat().st_size for path in files_in(settings)] == [len(CHECKPOINT) + chunks * 2**16]
    assert peak < settings.max_upload_bytes / 4


@pytest.mark.parametrize(
    ("filename", "content"),
    [("a.tar", tar("w")), ("a.tar.gz", tar("w:gz")), ("a.tgz", tar("w:gz"))],
    ids=["tar", "tar.gz", "tgz"],  # not by content: gzip writes the time into it, and every process must name the tests alike
)
def test_tars_are_data_sets_too(client: TestClient, filename: str, content: bytes) -> None:
    answer = client.post("/v1/datasets", data={"name": "pets"}, files={"file": (filename, content)})
    assert (answer.status_code, answer.json()["status"], answer.json()["name"]) == (201, "validating", "pets")


def test_a_checked_data_set_tells_what_is_in_it(client: TestClient, dataset: str) -> None:
    found = client.get(f"/v1/datasets/{dataset}").json()
    assert (found["status"], found["classes"], found["splits"]) == ("ready", ["cat", "dog"], {"train": 8, "val": 4})
    assert found["image"] == {"channels": 3, "height": 32, "width": 32}
    assert found["class_counts"] == {"train": [5, 3], "val": [2, 2]}


def test_samples_of_a_data_set_are_a_picture_with_a_layout(client: TestClient, dataset: str) -> None:
    path = f"/v1/datasets/{dataset}/samples"
    assert client.get(f"/v1/datasets/{dataset}").json()["samples"]["classes"] == [0, 1]
    picture = client.get(path)
    assert (picture.headers["Content-Type"], picture.content) == ("image/webp", b"samples.webp")
    assert client.get(path, headers={"If-None-Match": picture.headers["ETag"]}).status_code == 304


def test_a_data_set_that_is_being_checked_has_no_samples_yet(client: TestClient) -> None:
    dataset = client.post("/v1/datasets", files={"file": ("a.tar", tar("w"))}).json()["id"]
    assert client.get(f"/v1/datasets/{dataset}/samples").json()["code"] == "not_found"


def test_a_name_of_a_file_that_is_a_path_loses_its_folders(client: TestClient) -> None:
    body = form(b"../..\\etc/pass\twd.th") + b"\r\n--x--\r\n"
    answer = client.post("/v1/teachers", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.json()["name"] == "passwd.th"


def test_the_same_upload_sent_twice_with_one_key_is_one(client: TestClient, queue: MemoryQueue) -> None:
    send = [client.post("/v1/teachers", files={"file": ("a.th", CHECKPOINT)}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in send] == [201, 201]
    assert send[0].json() == send[1].json()
    assert len(client.get("/v1/teachers").json()["items"]) == len(queue.sent) == 1


def test_another_upload_with_the_same_key_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post("/v1/teachers", files={"file": ("a.th", CHECKPOINT)}, headers=headers)
    answer = client.post("/v1/teachers", files={"file": ("a.th", CHECKPOINT + b"x")}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_lists_come_in_pages_newest_first(client: TestClient) -> None:
    ids = [client.post("/v1/teachers", files={"file": (f"{n}.th", CHECKPOINT)}).json()["id"] for n in range(3)]
    first = client.get("/v1/teachers", params={"limit": 2}).json()
    second = client.get("/v1/teachers", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
