"""Uploads in several requests, by tus 1.0; and what is made of them once all bytes are there."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from registry import resumable
from registry.db import Database
from registry.partials import PART, partials
from registry.settings import Settings
from registry.store import Store
from registry.tables import Upload
from registry.testing import MemoryQueue
from tests.api.asgi import status_of
from tests.api.conftest import CHECKPOINT, files_in
from tests.api.tus import STREAM, TUS, append, begin, checksum, metadata, uploaded

CONTENT = os.urandom(100_000)
DIGEST = sha256(CONTENT).hexdigest()


def offset(client: TestClient, place: str) -> int:
    return int(client.head(place, headers=TUS).headers["Upload-Offset"])


def test_the_service_tells_what_it_speaks(client: TestClient, settings: Settings) -> None:
    answer = client.options("/v1/uploads")
    assert answer.status_code == 204
    told = {name: answer.headers[name] for name in ("Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Tus-Checksum-Algorithm")}
    assert told == {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Max-Size": str(settings.max_upload_bytes),
        "Tus-Checksum-Algorithm": "sha256,sha1",
    }
    extensions = {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert set(answer.headers["Tus-Extension"].split(",")) == extensions


def test_a_file_comes_in_stretches(client: TestClient, settings: Settings) -> None:
    place = begin(client, len(CONTENT), filename="a/b\\big.pt", colour="red")
    assert offset(client, place) == 0
    first = append(client, place, 0, CONTENT[:70_000])
    assert (first.status_code, first.headers["Upload-Offset"], first.headers["Tus-Resumable"]) == (204, "70000", "1.0.0")
    assert first.headers["Upload-Expires"].endswith("GMT")
    half = client.get(place).json()
    assert (half["offset"], half["sha256"], half["finished"]) == (70_000, None, False)
    assert append(client, place, 70_000, CONTENT[70_000:]).headers["Upload-Offset"] == "100000"
    head = client.head(place, headers=TUS)
    assert (head.headers["Upload-Length"], head.headers["Cache-Control"]) == ("100000", "no-store")
    assert head.headers["Upload-Metadata"] == metadata(filename="a/b\\big.pt", colour="red")["Upload-Metadata"]
    whole = client.get(place).json()
    assert (whole["filename"], whole["size"], whole["sha256"], whole["finished"]) == ("big.pt", 100_000, DIGEST, True)
    assert [path.name for path in files_in(settings)] == [DIGEST]
    assert append(client, place, 100_000, b"").status_code == 204


def test_the_first_bytes_may_come_with_the_wish(client: TestClient) -> None:
    headers = {**STREAM, "Upload-Length": "100000", **checksum(CONTENT[:10])}
    answer = client.post("/v1/uploads", headers=headers, content=CONTENT[:10])
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.json()["offset"]) == (201, "10", 10)
    assert append(client, answer.headers["Location"], 10, CONTENT[10:]).status_code == 204
    assert client.get(answer.headers["Location"]).json()["sha256"] == DIGEST


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_stretch_that_is_not_what_was_told_does_not_count(client: TestClient, algorithm: str) -> None:
    place = begin(client, len(CONTENT))
    wrong = append(client, place, 0, CONTENT[:500], **checksum(CONTENT[:501], algorithm))
    assert (wrong.status_code, wrong.json()["code"], offset(client, place)) == (460, "checksum_differs", 0)
    assert append(client, place, 0, CONTENT[:500], **checksum(CONTENT[:500], algorithm)).status_code == 204
    assert offset(client, place) == 500


@pytest.mark.parametrize("value", ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha256 not-base64", "sha256", ""])
def test_a_checksum_that_nobody_knows_is_refused(client: TestClient, value: str) -> None:
    answer = append(client, begin(client, 10), 0, b"1234", **{"Upload-Checksum": value})
    assert (answer.status_code, answer.json()["code"]) == (
        (400, "checksum_unknown") if value != "sha256" else (460, "checksum_differs")
    )


def test_a_file_that_is_not_what_was_told_is_dropped(client: TestClient, settings: Settings) -> None:
    place = begin(client, len(CONTENT), sha256="0" * 64)
    answer = append(client, place, 0, CONTENT)
    assert (answer.status_code, answer.json()["code"]) == (460, "upload_corrupt")
    assert client.head(place, headers=TUS).status_code == 404
    assert files_in(settings) == []


@pytest.mark.parametrize(("position", "status"), [(0, 204), (1, 409), (99, 409)])
def test_another_offset_tells_the_right_one(client: TestClient, position: int, status: int) -> None:
    answer = append(client, begin(client, 10), position, b"1234")
    assert answer.status_code == status
    assert answer.headers["Upload-Offset"] == ("4" if status == 204 else "0")


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("version", [None, "0.2.2"])
def test_another_protocol_is_refused(client: TestClient, method: str, version: str | None) -> None:
    headers = {"Tus-Resumable": version} if version else {}
    answer = client.request(method, begin(client, 10), headers={"Upload-Offset": "0", **headers})
    assert (answer.status_code, answer.headers["Tus-Version"], answer.headers["Tus-Resumable"]) == (412, "1.0.0", "1.0.0")


def test_another_media_type_is_refused(client: TestClient) -> None:
    headers = {**STREAM, "Content-Type": "application/octet-stream", "Upload-Offset": "0"}
    answer = client.patch(begin(client, 10), headers=headers, content=b"1234")
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "Upload-Length"),
        ({"Upload-Length": "0"}, "Upload-Length"),
        ({"Upload-Length": "many"}, "Upload-Length"),
        ({"Upload-Defer-Length": "1"}, "Upload-Length"),
        ({"Upload-Length": "10", "Upload-Metadata": "filename not-base64"}, "Upload-Metadata"),
        ({"Upload-Length": "10", "Upload-Metadata": ",,"}, "Upload-Metadata"),
        ({"Upload-Length": "10", "Upload-Metadata": "x" * 5000}, "Upload-Metadata"),
        ({"Upload-Length": "10", **metadata(sha256="abc")}, "Upload-Metadata"),
    ],
)
def test_a_malformed_header_is_named(client: TestClient, headers: dict[str, str], name: str) -> None:
    answer = client.post("/v1/uploads", headers={**TUS, **headers})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"].lower()) == (422, name.lower())


def test_a_file_above_the_cap_is_refused_before_it_comes(client: TestClient, settings: Settings) -> None:
    headers = {**TUS, "Upload-Length": str(settings.max_upload_bytes + 1)}
    answer = client.post("/v1/uploads", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_more_than_was_told_is_refused(client: TestClient) -> None:
    place = begin(client, 10)
    told = append(client, place, 0, b"12345678901")
    untold = client.patch(place, headers={**STREAM, "Upload-Offset": "0"}, content=iter([b"12345678901"]))
    assert [(answer.status_code, answer.json()["code"]) for answer in (told, untold)] == [(413, "upload_too_large")] * 2
    assert offset(client, place) == 0


@pytest.fixture
def limited(settings: Settings, database: Database, store: Store, key: str) -> Iterator[TestClient]:
    """A client whose owner may keep so much."""
    app = create_app(settings.model_copy(update={"quota_stored_bytes": 2000}), database, MemoryQueue(), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def test_a_file_above_the_quota_is_refused_before_it_comes(limited: TestClient) -> None:
    place = begin(limited, 1500)
    refused = limited.post("/v1/uploads", headers={**TUS, "Upload-Length": "501"})
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert limited.delete(place, headers=TUS).status_code == 204
    upload = uploaded(limited, CHECKPOINT)
    assert limited.post("/v1/teachers", json={"upload_id": upload}).status_code == 201
    assert limited.get("/v1/usage").json()["stored_bytes"]["used"] == len(CHECKPOINT)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_while_one_request_writes_others_are_told_to_wait(client: TestClient, database: Database, method: str) -> None:
    place = begin(client, 10)
    with database.write() as session:
        held = resumable.take(session, place.rpartition("/")[2])
    answer = client.request(method, place, headers={**STREAM, "Upload-Offset": "0"}, content=b"1234")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (423, "upload_locked", "1")
    with database.write() as session:
        resumable.release(session, held, kept=resumable.HOLD)
    assert client.request(method, place, headers={**STREAM, "Upload-Offset": "0"}, content=b"1234").status_code == 204


def cut(app: FastAPI, place: str, key: str, pieces: Iterable[bytes], *more: tuple[bytes, bytes]) -> int:
    """A PATCH whose connection breaks after these pieces."""
    coming = iter(pieces)

    async def receive() -> dict[str, Any]:
        piece = next(coming, None)
        return {"type": "http.disconnect"} if piece is None else {"type": "http.request", "body": piece, "more_body": True}

    headers = [(name.lower().encode(), value.encode()) for name, value in {**STREAM, "Upload-Offset": "0"}.items()]
    return status_of(app, "PATCH", place, [*headers, (b"authorization", f"Bearer {key}".encode()), *more], receive)


def test_what_came_before_the_connection_broke_counts(app: FastAPI, client: TestClient, key: str) -> None:
    place = begin(client, len(CONTENT))
    cut(app, place, key, [CONTENT[:1000], CONTENT[1000:40_000]])
    assert offset(client, place) == 40_000
    assert append(client, place, 40_000, CONTENT[40_000:]).status_code == 204  # nobody holds it any more
    assert client.get(place).json()["sha256"] == DIGEST


def test_of_a_stretch_with_a_checksum_nothing_counts_that_was_cut(app: FastAPI, client: TestClient, key: str) -> None:
    place = begin(client, len(CONTENT))
    name, value = next(iter(checksum(CONTENT).items()))
    cut(app, place, key, [CONTENT[:1000]], (name.lower().encode(), value.encode()))
    assert offset(client, place) == 0
    assert append(client, place, 0, CONTENT).status_code == 204


def test_a_long_stretch_counts_as_it_comes(settings: Settings, database: Database, store: Store, key: str) -> None:
    """Whatever becomes of the process: the row has been told of the first part when the second one begins."""
    app = create_app(settings.model_copy(update={"max_upload_bytes": 2 * PART}), database, MemoryQueue(), store)
    seen: list[int] = []

    def pieces(upload: str) -> Iterator[bytes]:
        yield bytes(PART)
        yield b"1"
        with database.read() as session:
            seen.append(resumable.get(session, upload).received)
        yield b"2"

    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        place = begin(client, 2 * PART)
        cut(app, place, key, pieces(place.rpartition("/")[2]))
        assert (seen, offset(client, place)) == ([PART], PART + 2)


def test_an_end_that_was_missed_is_made_up_for(client: TestClient, database: Database, store: Store) -> None:
    """All bytes had come when the process died that was about to store them."""
    upload = begin(client, len(CHECKPOINT), filename="a.pt").rpartition("/")[2]
    partials(store).write(upload, 0, CHECKPOINT)
    with database.write() as session:
        session.execute(update(Upload).where(Upload.id == upload).values(received=len(CHECKPOINT)))
    teacher = client.post("/v1/teachers", json={"upload_id": upload})
    assert (teacher.status_code, teacher.json()["sha256"]) == (201, sha256(CHECKPOINT).hexdigest())
    assert client.get(f"/v1/uploads/{upload}").json()["finished"] is True


def test_an_upload_becomes_a_teacher(client: TestClient, settings: Settings, queue: MemoryQueue) -> None:
    upload = uploaded(client, CHECKPOINT, filename="big.th", sha256=sha256(CHECKPOINT).hexdigest())
    said = {"upload_id": upload, "architecture": "resnet56", "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]}}
    made = client.post("/v1/teachers", json=said)
    assert made.status_code == 201
    teacher = made.json()
    sent = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    same = ("name", "sha256", "size", "format", "status")
    assert {name: teacher[name] for name in same} == {name: sent[name] for name in same}
    assert (teacher["architecture"], teacher["normalization"]["std"]) == ("resnet56", [1, 1, 1])
    assert [path.read_bytes() for path in files_in(settings)] == [CHECKPOINT]
    assert len(queue.sent) == 2


@pytest.mark.parametrize("how", ["json", "data", "files"])
def test_an_upload_is_named_in_json_or_in_a_form(client: TestClient, archive: bytes, how: str) -> None:
    fields = {"upload_id": uploaded(client, archive, filename="pets.zip"), "name": "pets"}
    sent: Any = {name: (None, value) for name, value in fields.items()} if how == "files" else fields
    answer = client.post("/v1/datasets", **{how: sent})
    assert (answer.status_code, answer.json()["name"]) == (201, "pets")
    again = client.post("/v1/datasets", **{how: sent}, headers={"Idempotency-Key": "x"}).json()
    assert client.post("/v1/datasets", **{how: sent}, headers={"Idempotency-Key": "x"}).json() == again


def test_what_is_no_finished_upload_is_told(client: TestClient) -> None:
    half, text = begin(client, 10).rpartition("/")[2], uploaded(client, b"This is a text.\n")
    for name, code in ((half, "upload_unfinished"), ("upload_0", "upload_unknown"), (text, "checkpoint_unreadable")):
        answer = client.post("/v1/teachers", json={"upload_id": name})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert [entry["pointer"] for entry in answer.json()["errors"]] == ["/upload_id"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"json": {"name": "x"}}, "form_invalid"),
        ({"json": ["x"]}, "form_invalid"),
        ({"json": {"upload_id": 7}}, "form_invalid"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "form_invalid"),
        ({"json": {"upload_id": "upload_0", "name": "x" * 2_000_000}}, "form_invalid"),
        ({"json": {"upload_id": "upload_0", "colour": "red"}}, "request_invalid"),
        ({"files": {"file": ("a.pt", CHECKPOINT), "upload_id": (None, "upload_0")}}, "form_invalid"),
    ],
)
def test_other_bodies_are_refused(client: TestClient, settings: Settings, sent: Any, code: str) -> None:
    answer = client.post("/v1/teachers", **sent)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert files_in(settings) == []
