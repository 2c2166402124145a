"""Direct uploads. Clients upload the parts of a file to signed URLs of an S3 store."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry.access.permissions import Role
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.garbage_collection import find_orphaned_upload_parts
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from registry.uploads import resumable_uploads
from tests.api.problem_responses import status_and_code
from tests.api.tenants import MINE, THEIRS, Tenants
from tests.api.tus_client import TUS_HEADERS, append_chunk, create_upload
from tests.support.backends import bucket, s3

__all__ = ["bucket", "s3"]

CONTENT = os.urandom(300_000)
DIGEST = sha256(CONTENT).hexdigest()
PARTS = [(0, 100_000), (100_000, 150_000), (250_000, 50_000)]


@pytest.fixture
def app(settings: Settings, database: Database, queue: InMemoryJobQueue, bucket: Store) -> FastAPI:
    return create_app(settings, database, queue, bucket)


def begin_upload(client: Any, **metadata: str) -> str:
    return create_upload(client, len(CONTENT), **{"sha256": DIGEST, **metadata})


def parts_request(*parts: tuple[int, int]) -> dict[str, Any]:
    return {"parts": [{"offset": offset, "size": size} for offset, size in parts]}


def sign_part_urls(client: Any, upload_url: str, *parts: tuple[int, int]) -> list[str]:
    response = client.post(f"{upload_url}/urls", json=parts_request(*parts))
    assert response.status_code == 200, response.text
    return [part["url"] for part in response.json()["parts"]]


def store_part(url: str, content: bytes) -> None:
    httpx.put(url, content=content, trust_env=False).raise_for_status()


def store_parts(client: Any, upload_url: str, *parts: tuple[int, int]) -> None:
    """Upload the parts concurrently to their signed URLs."""
    urls = sign_part_urls(client, upload_url, *parts)
    with ThreadPoolExecutor() as pool:
        list(
            pool.map(store_part, urls, [CONTENT[offset : offset + size] for offset, size in parts])
        )


def list_parts(client: Any, upload_url: str) -> list[dict[str, int]]:
    parts: list[dict[str, int]] = client.get(f"{upload_url}/parts").json()["parts"]
    return parts


def test_concurrent_parts_become_the_file(client: TestClient, bucket: Store) -> None:
    upload_url = begin_upload(client, filename="big.pt")
    store_parts(client, upload_url, *PARTS[1:])
    assert list_parts(client, upload_url) == parts_request(*PARTS[1:])["parts"]
    assert client.get(upload_url).json()["offset"] == 0  # the service itself received nothing
    store_parts(client, upload_url, PARTS[0])
    completed = client.post(f"{upload_url}/complete")
    assert (completed.status_code, completed.json()["sha256"], completed.json()["offset"]) == (
        200,
        DIGEST,
        len(CONTENT),
    )
    assert b"".join(bucket.read(DIGEST)) == CONTENT
    assert [entry.key.rpartition("/")[2] for entry in bucket.list_entries("")] == [DIGEST]
    repeated = client.post(f"{upload_url}/complete")
    assert (repeated.status_code, repeated.json()) == (
        200,
        {**completed.json(), "expires_at": repeated.json()["expires_at"]},
    )


def test_parts_may_complete_what_was_sent_by_patch(client: TestClient, bucket: Store) -> None:
    upload_url = begin_upload(client)
    assert append_chunk(client, upload_url, 0, CONTENT[:70_000]).status_code == 204
    assert status_and_code(client.post(f"{upload_url}/urls", json=parts_request((69_999, 1)))) == (
        422,
        "upload_part_outside",
    )
    store_parts(client, upload_url, (70_000, 230_000))
    assert client.post(f"{upload_url}/complete").json()["sha256"] == DIGEST
    assert b"".join(bucket.read(DIGEST)) == CONTENT


def test_parts_are_dropped_if_the_rest_is_sent_by_patch(client: TestClient, bucket: Store) -> None:
    upload_url = begin_upload(client)
    store_part(*sign_part_urls(client, upload_url, (100, 50)), bytes(50))
    assert append_chunk(client, upload_url, 0, CONTENT[:100]).status_code == 204
    assert append_chunk(client, upload_url, 100, CONTENT[100:]).status_code == 204
    assert client.get(upload_url).json()["sha256"] == DIGEST
    assert [entry.key.rpartition("/")[2] for entry in bucket.list_entries("")] == [DIGEST]


def test_a_signed_url_expires_and_is_for_one_part(client: TestClient, settings: Settings) -> None:
    upload_url = begin_upload(client)
    body = {**parts_request(PARTS[0]), "expires_seconds": 60}
    (part,) = client.post(f"{upload_url}/urls", json=body).json()["parts"]
    assert (part["offset"], part["size"], httpx.URL(part["url"]).params["X-Amz-Expires"]) == (
        *PARTS[0],
        "60",
    )
    assert httpx.URL(part["url"]).path.endswith(f"{upload_url.rpartition('/')[2]}/direct/{0:020d}")
    assert "Authorization" not in part["url"]
    short_lived = create_app(
        settings.model_copy(update={"upload_seconds": 90}), *_services_of(client)
    )
    with TestClient(
        short_lived, base_url=str(client.base_url), headers=client.headers
    ) as short_lived_client:
        assert (
            httpx.URL(sign_part_urls(short_lived_client, upload_url, PARTS[0])[0]).params[
                "X-Amz-Expires"
            ]
            == "90"
        )


def _services_of(client: TestClient) -> tuple[Database, InMemoryJobQueue, Store]:
    services = client.app.state.services  # type: ignore[attr-defined]  # a FastAPI
    return services.database, services.queue, services.store


@pytest.mark.parametrize(
    ("sizes", "first_missing"),
    [
        ({}, 0),
        ({0: 100_000, 250_000: 50_000}, 100_000),
        ({0: 99_999, 100_000: 150_000, 250_000: 50_000}, 99_999),
        ({0: 100_001, 100_000: 150_000, 250_000: 50_000}, 100_001),
        ({0: 100_000, 100_000: 150_000, 250_000: 50_001}, 250_000),
        ({0: 0, 100_000: 150_000, 250_000: 50_000}, 0),
    ],
)
def test_missing_parts_are_reported(
    client: TestClient, sizes: dict[int, int], first_missing: int
) -> None:
    upload_url = begin_upload(client)
    for offset, size in sizes.items():
        store_part(*sign_part_urls(client, upload_url, (offset, 1)), bytes(size))
    response = client.post(f"{upload_url}/complete")
    assert status_and_code(response) == (409, "upload_part_missing")
    assert f"at byte {first_missing}." in response.json()["detail"]
    store_parts(client, upload_url, *PARTS)
    assert client.post(f"{upload_url}/complete").json()["sha256"] == DIGEST


def test_no_url_is_signed_if_the_store_holds_too_many_bytes(client: TestClient) -> None:
    upload_url = begin_upload(client)
    (url,) = sign_part_urls(client, upload_url, PARTS[0])
    store_part(url, bytes(2 * len(CONTENT) + 1))
    assert status_and_code(client.post(f"{upload_url}/urls", json=parts_request(PARTS[1]))) == (
        413,
        "upload_too_large",
    )


def test_parts_with_another_digest_are_dropped(client: TestClient, bucket: Store) -> None:
    upload_url = begin_upload(client, sha256="0" * 64)
    store_parts(client, upload_url, *PARTS)
    assert status_and_code(client.post(f"{upload_url}/complete")) == (460, "upload_corrupt")
    assert client.get(upload_url).status_code == 404
    assert list(bucket.list_entries("")) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (parts_request(), "request_invalid"),
        (parts_request((0, 0)), "request_invalid"),
        (parts_request((-1, 1)), "request_invalid"),
        (parts_request((0, 5 * 2**30 + 1)), "request_invalid"),
        (parts_request((0, len(CONTENT) + 1)), "upload_part_outside"),
        ({**parts_request((0, 1)), "expires_seconds": 100_000}, "request_invalid"),
    ],
)
def test_no_url_is_signed_for_an_invalid_part(
    client: TestClient, body: dict[str, Any], code: str
) -> None:
    assert status_and_code(client.post(f"{begin_upload(client)}/urls", json=body)) == (422, code)


@pytest.mark.parametrize("action", ["urls", "complete"])
def test_only_one_request_at_a_time_is_accepted(
    client: TestClient, database: Database, action: str
) -> None:
    upload_url = begin_upload(client)
    store_parts(client, upload_url, *PARTS)
    with database.write() as session:
        lease = resumable_uploads.acquire(session, upload_url.rpartition("/")[2])
    response = client.post(f"{upload_url}/{action}", json=parts_request(PARTS[0]))
    assert (*status_and_code(response), response.headers["Retry-After"]) == (
        423,
        "upload_locked",
        "1",
    )
    with database.write() as session:
        resumable_uploads.release(session, lease, ttl=resumable_uploads.LEASE_DURATION)
    assert client.post(f"{upload_url}/complete").status_code == 200


def test_concurrent_completions_store_the_file_once(client: TestClient, bucket: Store) -> None:
    upload_url = begin_upload(client)
    store_parts(client, upload_url, *PARTS)
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: client.post(f"{upload_url}/complete"), range(4)))
    assert {response.status_code for response in responses} <= {200, 423}
    assert client.post(f"{upload_url}/complete").json()["sha256"] == DIGEST
    assert [entry.key.rpartition("/")[2] for entry in bucket.list_entries("")] == [DIGEST]


def test_the_lease_is_renewed_while_the_store_works(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.uploads.upload_writer._LEASE_RENEWAL_SECONDS", 0.01)
    upload_url, lease_ends = begin_upload(client), []

    def wait_for_renewals(*_: object) -> None:
        deadline = time.monotonic() + 30
        while len(set(lease_ends)) < 3 and time.monotonic() < deadline:
            with database.read() as session:
                lease_ends.append(
                    resumable_uploads.get(session, upload_url.rpartition("/")[2]).held_until
                )
        assert status_and_code(client.post(f"{upload_url}/complete")) == (423, "upload_locked")

    store_parts(client, upload_url, *PARTS)
    adopt = Store.adopt
    monkeypatch.setattr(Store, "adopt", lambda *arguments: (wait_for_renewals(), adopt(*arguments)))
    assert client.post(f"{upload_url}/complete").status_code == 200
    assert len(set(lease_ends)) == 3


def test_parts_are_deleted_with_their_upload(
    client: TestClient, database: Database, bucket: Store
) -> None:
    upload_url = begin_upload(client)
    (url,) = sign_part_urls(client, upload_url, PARTS[0])
    store_part(url, CONTENT[: PARTS[0][1]])
    assert client.delete(upload_url, headers=TUS_HEADERS).status_code == 204
    assert list(bucket.list_entries("")) == []
    store_part(url, b"late")  # the signed URL is still valid
    with database.read() as session:
        (item,) = find_orphaned_upload_parts(
            session, bucket, grace=resumable_uploads.LEASE_DURATION * 0
        )
    assert (item.kind, item.size) == ("half", 4)


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "urls"), ("GET", "parts"), ("POST", "complete")]
)
def test_roles_that_may_send_parts(
    app: FastAPI, database: Database, bucket: Store, method: str, action: str
) -> None:
    tenants = Tenants(app, database, bucket)
    body = {"json": parts_request((0, 4))} if action == "urls" else {}
    statuses = {}
    for owner in (MINE, THEIRS):
        upload_url = f"/v1/uploads/{tenants.create_rows(owner)['upload_id']}/{action}"
        statuses |= {
            (owner, role): tenants.create_client(role)
            .request(method, upload_url, **body)
            .status_code
            for role in (None, *Role)
        }
    # A permitted request to complete the upload gets 409, because nothing was uploaded.
    allowed, viewer_status = {"urls": (200, 403), "parts": (200, 200), "complete": (409, 403)}[
        action
    ]
    foreign_viewer_status = 404 if viewer_status == 200 else 403
    assert statuses == {
        **{(owner, None): 401 for owner in (MINE, THEIRS)},
        **{
            (MINE, role): allowed if role.at_least(Role.SUBMITTER) else viewer_status
            for role in Role
        },
        **{(THEIRS, role): allowed if role.at_least(Role.OPERATOR) else 404 for role in Role},
        (THEIRS, Role.VIEWER): foreign_viewer_status,
    }


def test_a_local_store_has_no_direct_uploads(
    settings: Settings, database: Database, queue: InMemoryJobQueue, key: str
) -> None:
    store = Store(settings.store_url)
    headers = {"Authorization": f"Bearer {key}"}
    with TestClient(
        create_app(settings, database, queue, store),
        base_url="http://127.0.0.1:8000",
        headers=headers,
    ) as client:
        upload_url = begin_upload(client)
        for response in (
            client.post(f"{upload_url}/urls", json=parts_request(PARTS[0])),
            client.get(f"{upload_url}/parts"),
            client.post(f"{upload_url}/complete"),
        ):
            assert status_and_code(response) == (409, "upload_not_direct")
            assert "PATCH" in response.json()["hint"]
        assert append_chunk(client, upload_url, 0, CONTENT).status_code == 204
        assert client.post(f"{upload_url}/complete").json()["sha256"] == DIGEST
