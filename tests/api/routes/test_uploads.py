"""Resumable uploads with tus 1.0, and the teachers, datasets and models created from them."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from registry.db.database import Database
from registry.db.input_tables import Upload
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from registry.uploads import resumable_uploads
from registry.uploads.upload_parts import REQUEST_BYTES, open_upload_parts
from tests.api.asgi_client import call_app
from tests.api.fake_worker import CHECKPOINT, list_stored_files
from tests.api.tus_client import (
    CHUNK_HEADERS,
    TUS_HEADERS,
    append_chunk,
    checksum_header,
    create_upload,
    metadata_header,
    upload_file,
)

CONTENT = os.urandom(100_000)
DIGEST = sha256(CONTENT).hexdigest()


def get_offset(client: TestClient, upload_url: str) -> int:
    return int(client.head(upload_url, headers=TUS_HEADERS).headers["Upload-Offset"])


def test_the_supported_protocol_is_announced(client: TestClient, settings: Settings) -> None:
    response = client.options("/v1/uploads")
    assert response.status_code == 204
    headers = {
        name: response.headers[name]
        for name in ("Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Tus-Checksum-Algorithm")
    }
    assert headers == {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0",
        "Tus-Max-Size": str(settings.max_upload_bytes),
        "Tus-Checksum-Algorithm": "sha256,sha1",
    }
    extensions = {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert set(response.headers["Tus-Extension"].split(",")) == extensions


def test_a_file_is_uploaded_in_chunks(client: TestClient, settings: Settings) -> None:
    upload_url = create_upload(client, len(CONTENT), filename="a/b\\big.pt", colour="red")
    assert get_offset(client, upload_url) == 0
    first = append_chunk(client, upload_url, 0, CONTENT[:70_000])
    assert (first.status_code, first.headers["Upload-Offset"], first.headers["Tus-Resumable"]) == (
        204,
        "70000",
        "1.0.0",
    )
    assert first.headers["Upload-Expires"].endswith("GMT")
    unfinished = client.get(upload_url).json()
    assert (unfinished["offset"], unfinished["sha256"], unfinished["finished"]) == (
        70_000,
        None,
        False,
    )
    assert (
        append_chunk(client, upload_url, 70_000, CONTENT[70_000:]).headers["Upload-Offset"]
        == "100000"
    )
    head = client.head(upload_url, headers=TUS_HEADERS)
    assert (head.headers["Upload-Length"], head.headers["Cache-Control"]) == ("100000", "no-store")
    assert (
        head.headers["Upload-Metadata"]
        == metadata_header(filename="a/b\\big.pt", colour="red")["Upload-Metadata"]
    )
    finished = client.get(upload_url).json()
    assert (finished["filename"], finished["size"], finished["sha256"], finished["finished"]) == (
        "big.pt",
        100_000,
        DIGEST,
        True,
    )
    assert [path.name for path in list_stored_files(settings)] == [DIGEST]
    assert append_chunk(client, upload_url, 100_000, b"").status_code == 204


def test_the_first_bytes_may_be_sent_with_the_creation(client: TestClient) -> None:
    headers = {**CHUNK_HEADERS, "Upload-Length": "100000", **checksum_header(CONTENT[:10])}
    response = client.post("/v1/uploads", headers=headers, content=CONTENT[:10])
    assert (response.status_code, response.headers["Upload-Offset"], response.json()["offset"]) == (
        201,
        "10",
        10,
    )
    assert append_chunk(client, response.headers["Location"], 10, CONTENT[10:]).status_code == 204
    assert client.get(response.headers["Location"]).json()["sha256"] == DIGEST


def test_clients_without_patch_and_delete_send_post(client: TestClient) -> None:
    upload_url = create_upload(client, len(CONTENT))
    headers = {**CHUNK_HEADERS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    appended = client.post(upload_url, headers=headers, content=CONTENT)
    assert (appended.status_code, appended.headers["Upload-Offset"]) == (204, "100000")
    assert client.get(upload_url).json()["sha256"] == DIGEST
    headers = {**TUS_HEADERS, "X-HTTP-Method-Override": "DELETE"}
    assert client.post(upload_url, headers=headers).status_code == 204
    assert client.get(upload_url).status_code == 404


def test_a_viewer_cannot_delete_an_upload_by_overriding_the_method(client: TestClient) -> None:
    upload_url = create_upload(client, len(CONTENT))
    viewer = client.post("/v1/keys", json={"name": "viewer", "role": "viewer"}).json()["key"]
    headers = {
        **TUS_HEADERS,
        "Authorization": f"Bearer {viewer}",
        "X-HTTP-Method-Override": "DELETE",
    }
    assert client.post(upload_url, headers=headers).status_code in {403, 404}
    assert client.get(upload_url).status_code == 200


@pytest.mark.parametrize("override", ["HEAD", "GET", "PUT"])
def test_other_methods_are_not_overridden(client: TestClient, override: str) -> None:
    upload_url = create_upload(client, len(CONTENT))
    response = client.post(upload_url, headers={"X-HTTP-Method-Override": override})
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_locations_hold_behind_a_proxy(client: TestClient) -> None:
    """A path without a host is resolved by the client against the address that it used."""
    headers = {
        **TUS_HEADERS,
        "Upload-Length": "10",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "ml.example.org",
    }
    location = client.post("/v1/uploads", headers=headers).headers["Location"]
    assert location.startswith("/v1/uploads/upload_")


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_chunk_with_another_checksum_is_not_kept(client: TestClient, algorithm: str) -> None:
    upload_url = create_upload(client, len(CONTENT))
    mismatch = append_chunk(
        client, upload_url, 0, CONTENT[:500], **checksum_header(CONTENT[:501], algorithm)
    )
    assert (mismatch.status_code, mismatch.json()["code"], get_offset(client, upload_url)) == (
        460,
        "checksum_differs",
        0,
    )
    assert (
        append_chunk(
            client, upload_url, 0, CONTENT[:500], **checksum_header(CONTENT[:500], algorithm)
        ).status_code
        == 204
    )
    assert get_offset(client, upload_url) == 500


@pytest.mark.parametrize(
    "value", ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha256 not-base64", "sha256", ""]
)
def test_an_unsupported_checksum_is_rejected(client: TestClient, value: str) -> None:
    response = append_chunk(
        client, create_upload(client, 10), 0, b"1234", **{"Upload-Checksum": value}
    )
    assert (response.status_code, response.json()["code"]) == (
        (400, "checksum_unknown") if value != "sha256" else (460, "checksum_differs")
    )


def test_a_file_with_another_digest_is_dropped(client: TestClient, settings: Settings) -> None:
    upload_url = create_upload(client, len(CONTENT), sha256="0" * 64)
    response = append_chunk(client, upload_url, 0, CONTENT)
    assert (response.status_code, response.json()["code"]) == (460, "upload_corrupt")
    assert client.head(upload_url, headers=TUS_HEADERS).status_code == 404
    assert list_stored_files(settings) == []


@pytest.mark.parametrize(("position", "status"), [(0, 204), (1, 409), (99, 409)])
def test_a_conflicting_offset_is_answered_with_the_correct_one(
    client: TestClient, position: int, status: int
) -> None:
    response = append_chunk(client, create_upload(client, 10), position, b"1234")
    assert response.status_code == status
    assert response.headers["Upload-Offset"] == ("4" if status == 204 else "0")


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("version", [None, "0.2.2"])
def test_another_protocol_version_is_rejected(
    client: TestClient, method: str, version: str | None
) -> None:
    headers = {"Tus-Resumable": version} if version else {}
    response = client.request(
        method, create_upload(client, 10), headers={"Upload-Offset": "0", **headers}
    )
    assert (
        response.status_code,
        response.headers["Tus-Version"],
        response.headers["Tus-Resumable"],
    ) == (
        412,
        "1.0.0",
        "1.0.0",
    )


def test_another_media_type_is_rejected(client: TestClient) -> None:
    headers = {**CHUNK_HEADERS, "Content-Type": "application/octet-stream", "Upload-Offset": "0"}
    response = client.patch(create_upload(client, 10), headers=headers, content=b"1234")
    assert (response.status_code, response.json()["code"]) == (415, "media_type_unsupported")


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
        ({"Upload-Length": "10", **metadata_header(sha256="abc")}, "Upload-Metadata"),
    ],
)
def test_a_malformed_header_is_named(
    client: TestClient, headers: dict[str, str], name: str
) -> None:
    response = client.post("/v1/uploads", headers={**TUS_HEADERS, **headers})
    assert (response.status_code, response.json()["errors"][0]["parameter"].lower()) == (
        422,
        name.lower(),
    )


def test_a_file_above_the_limit_is_rejected_before_it_is_sent(
    client: TestClient, settings: Settings
) -> None:
    headers = {**TUS_HEADERS, "Upload-Length": str(settings.max_upload_bytes + 1)}
    response = client.post("/v1/uploads", headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")


def test_more_bytes_than_declared_are_rejected(client: TestClient) -> None:
    upload_url = create_upload(client, 10)
    declared = append_chunk(client, upload_url, 0, b"12345678901")
    undeclared = client.patch(
        upload_url, headers={**CHUNK_HEADERS, "Upload-Offset": "0"}, content=iter([b"12345678901"])
    )
    assert [
        (response.status_code, response.json()["code"]) for response in (declared, undeclared)
    ] == [(413, "upload_too_large")] * 2
    assert get_offset(client, upload_url) == 0


@pytest.fixture
def limited_client(
    settings: Settings, database: Database, store: Store, key: str
) -> Iterator[TestClient]:
    """Yield a client of a service whose owners may store 2000 bytes each."""
    app = create_app(
        settings.model_copy(update={"quota_stored_bytes": 2000}),
        database,
        InMemoryJobQueue(),
        store,
    )
    with TestClient(
        app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


def test_a_file_above_the_quota_is_rejected_before_it_is_sent(limited_client: TestClient) -> None:
    upload_url = create_upload(limited_client, 1500)
    rejected = limited_client.post("/v1/uploads", headers={**TUS_HEADERS, "Upload-Length": "501"})
    assert (rejected.status_code, rejected.json()["code"]) == (403, "quota_exceeded")
    assert limited_client.delete(upload_url, headers=TUS_HEADERS).status_code == 204
    upload = upload_file(limited_client, CHECKPOINT)
    assert limited_client.post("/v1/teachers", json={"upload_id": upload}).status_code == 201
    assert limited_client.get("/v1/usage").json()["stored_bytes"]["used"] == len(CHECKPOINT)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_concurrent_request_is_told_to_wait(
    client: TestClient, database: Database, method: str
) -> None:
    upload_url = create_upload(client, 10)
    with database.write() as session:
        lease = resumable_uploads.acquire(session, upload_url.rpartition("/")[2])
    response = client.request(
        method, upload_url, headers={**CHUNK_HEADERS, "Upload-Offset": "0"}, content=b"1234"
    )
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (
        423,
        "upload_locked",
        "1",
    )
    with database.write() as session:
        resumable_uploads.release(session, lease, ttl=resumable_uploads.LEASE_DURATION)
    assert (
        client.request(
            method, upload_url, headers={**CHUNK_HEADERS, "Upload-Offset": "0"}, content=b"1234"
        ).status_code
        == 204
    )


def append_and_disconnect(
    app: FastAPI,
    upload_url: str,
    key: str,
    chunks: Iterable[bytes],
    *extra_headers: tuple[bytes, bytes],
) -> int:
    """Send these chunks in a PATCH request and then disconnect. Return the response status."""
    remaining = iter(chunks)

    async def receive() -> dict[str, Any]:
        chunk = next(remaining, None)
        return (
            {"type": "http.disconnect"}
            if chunk is None
            else {"type": "http.request", "body": chunk, "more_body": True}
        )

    headers = [
        (name.lower().encode(), value.encode())
        for name, value in {**CHUNK_HEADERS, "Upload-Offset": "0"}.items()
    ]
    return call_app(
        app,
        "PATCH",
        upload_url,
        [*headers, (b"authorization", f"Bearer {key}".encode()), *extra_headers],
        receive,
    )


def test_bytes_received_before_a_disconnect_are_kept(
    app: FastAPI, client: TestClient, key: str
) -> None:
    upload_url = create_upload(client, len(CONTENT))
    append_and_disconnect(app, upload_url, key, [CONTENT[:1000], CONTENT[1000:40_000]])
    assert get_offset(client, upload_url) == 40_000
    # This request gets the lease, because the interrupted request released it.
    assert append_chunk(client, upload_url, 40_000, CONTENT[40_000:]).status_code == 204
    assert client.get(upload_url).json()["sha256"] == DIGEST


def test_a_truncated_chunk_with_a_checksum_is_not_kept(
    app: FastAPI, client: TestClient, key: str
) -> None:
    upload_url = create_upload(client, len(CONTENT))
    name, value = next(iter(checksum_header(CONTENT).items()))
    append_and_disconnect(
        app, upload_url, key, [CONTENT[:1000]], (name.lower().encode(), value.encode())
    )
    assert get_offset(client, upload_url) == 0
    assert append_chunk(client, upload_url, 0, CONTENT).status_code == 204


def test_the_progress_of_a_long_request_is_saved_while_it_is_received(
    settings: Settings, database: Database, store: Store, key: str
) -> None:
    """The database records the first block before the second block arrives."""
    app = create_app(
        settings.model_copy(update={"max_upload_bytes": 2 * REQUEST_BYTES}),
        database,
        InMemoryJobQueue(),
        store,
    )
    received: list[int] = []

    def chunks(upload: str) -> Iterator[bytes]:
        yield bytes(REQUEST_BYTES)
        yield b"1"
        with database.read() as session:
            received.append(resumable_uploads.get(session, upload).received)
        yield b"2"

    with TestClient(
        app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        upload_url = create_upload(client, 2 * REQUEST_BYTES)
        append_and_disconnect(app, upload_url, key, chunks(upload_url.rpartition("/")[2]))
        assert (received, get_offset(client, upload_url)) == ([REQUEST_BYTES], REQUEST_BYTES + 2)


def test_a_complete_upload_that_was_not_stored_is_stored_on_use(
    client: TestClient, database: Database, store: Store
) -> None:
    """Simulate a process that died after it received all bytes and before it stored the file."""
    upload = create_upload(client, len(CHECKPOINT), filename="a.pt").rpartition("/")[2]
    open_upload_parts(store).write(upload, 0, CHECKPOINT)
    with database.write() as session:
        session.execute(update(Upload).where(Upload.id == upload).values(received=len(CHECKPOINT)))
    teacher = client.post("/v1/teachers", json={"upload_id": upload})
    assert (teacher.status_code, teacher.json()["sha256"]) == (201, sha256(CHECKPOINT).hexdigest())
    assert client.get(f"/v1/uploads/{upload}").json()["finished"] is True


def test_an_upload_becomes_a_teacher(
    client: TestClient, settings: Settings, queue: InMemoryJobQueue
) -> None:
    upload = upload_file(
        client, CHECKPOINT, filename="big.th", sha256=sha256(CHECKPOINT).hexdigest()
    )
    body = {
        "upload_id": upload,
        "architecture": "resnet56",
        "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]},
    }
    response = client.post("/v1/teachers", json=body)
    assert response.status_code == 201
    teacher = response.json()
    sent_with_file = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    equal_fields = ("name", "sha256", "size", "format", "status")
    assert {name: teacher[name] for name in equal_fields} == {
        name: sent_with_file[name] for name in equal_fields
    }
    assert (teacher["architecture"], teacher["normalization"]["std"]) == ("resnet56", [1, 1, 1])
    assert [path.read_bytes() for path in list_stored_files(settings)] == [CHECKPOINT]
    assert len(queue.sent) == 2


@pytest.mark.parametrize("encoding", ["json", "data", "files"])
def test_an_upload_id_is_accepted_in_json_and_in_forms(
    client: TestClient, archive: bytes, encoding: str
) -> None:
    fields = {"upload_id": upload_file(client, archive, filename="pets.zip"), "name": "pets"}
    request_options: Any = (
        {name: (None, value) for name, value in fields.items()} if encoding == "files" else fields
    )
    response = client.post("/v1/datasets", **{encoding: request_options})
    assert (response.status_code, response.json()["name"]) == (201, "pets")
    first_response = client.post(
        "/v1/datasets", **{encoding: request_options}, headers={"Idempotency-Key": "x"}
    ).json()
    assert (
        client.post(
            "/v1/datasets", **{encoding: request_options}, headers={"Idempotency-Key": "x"}
        ).json()
        == first_response
    )


def test_unusable_uploads_are_reported(client: TestClient) -> None:
    unfinished = create_upload(client, 10).rpartition("/")[2]
    text_upload = upload_file(client, b"This is a text.\n")
    for name, code in (
        (unfinished, "upload_unfinished"),
        ("upload_0", "upload_unknown"),
        (text_upload, "checkpoint_unreadable"),
    ):
        response = client.post("/v1/teachers", json={"upload_id": name})
        assert (response.status_code, response.json()["code"]) == (422, code)
        assert [entry["pointer"] for entry in response.json()["errors"]] == ["/upload_id"]


@pytest.mark.parametrize(
    ("request_options", "code"),
    [
        ({"json": {"name": "x"}}, "form_invalid"),
        ({"json": ["x"]}, "form_invalid"),
        ({"json": {"upload_id": 7}}, "form_invalid"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "form_invalid"),
        ({"json": {"upload_id": "upload_0", "name": "x" * 2_000_000}}, "form_invalid"),
        ({"json": {"upload_id": "upload_0", "colour": "red"}}, "request_invalid"),
        (
            {"files": {"file": ("a.pt", CHECKPOINT), "upload_id": (None, "upload_0")}},
            "form_invalid",
        ),
    ],
)
def test_invalid_bodies_are_rejected(
    client: TestClient, settings: Settings, request_options: Any, code: str
) -> None:
    response = client.post("/v1/teachers", **request_options)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert list_stored_files(settings) == []
