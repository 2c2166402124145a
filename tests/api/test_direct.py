"""Parts of an upload go straight to an S3 store, at signed addresses; the service makes the whole of them."""

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
from registry import resumable
from registry.access import Role
from registry.db import Database
from registry.garbage import halves
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.api.people import MINE, THEIRS, People
from tests.api.tus import TUS, append, begin
from tests.engines import bucket, s3

__all__ = ["bucket", "s3"]

CONTENT = os.urandom(300_000)
DIGEST = sha256(CONTENT).hexdigest()
PARTS = [(0, 100_000), (100_000, 150_000), (250_000, 50_000)]


@pytest.fixture
def app(settings: Settings, database: Database, queue: MemoryQueue, bucket: Store) -> FastAPI:
    return create_app(settings, database, queue, bucket)


def begun(client: Any, **told: str) -> str:
    return begin(client, len(CONTENT), **{"sha256": DIGEST, **told})


def wish(*parts: tuple[int, int]) -> dict[str, Any]:
    return {"parts": [{"offset": offset, "size": size} for offset, size in parts]}


def addresses(client: Any, place: str, *parts: tuple[int, int]) -> list[str]:
    answer = client.post(f"{place}/urls", json=wish(*parts))
    assert answer.status_code == 200, answer.text
    return [part["url"] for part in answer.json()["parts"]]


def store_part(url: str, content: bytes) -> None:
    httpx.put(url, content=content, trust_env=False).raise_for_status()


def stored(client: Any, place: str, *parts: tuple[int, int]) -> None:
    """These parts, all at once."""
    urls = addresses(client, place, *parts)
    with ThreadPoolExecutor() as pool:
        list(pool.map(store_part, urls, [CONTENT[offset : offset + size] for offset, size in parts]))


def listed(client: Any, place: str) -> list[dict[str, int]]:
    found: list[dict[str, int]] = client.get(f"{place}/parts").json()["parts"]
    return found


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_parts_that_come_at_once_become_the_file(client: TestClient, bucket: Store) -> None:
    place = begun(client, filename="big.pt")
    stored(client, place, *PARTS[1:])
    assert listed(client, place) == wish(*PARTS[1:])["parts"]
    assert client.get(place).json()["offset"] == 0  # none came this way
    stored(client, place, PARTS[0])
    made = client.post(f"{place}/complete")
    assert (made.status_code, made.json()["sha256"], made.json()["offset"]) == (200, DIGEST, len(CONTENT))
    assert b"".join(bucket.read(DIGEST)) == CONTENT
    assert [entry.key.rpartition("/")[2] for entry in bucket.listed("")] == [DIGEST]
    again = client.post(f"{place}/complete")
    assert (again.status_code, again.json()) == (200, {**made.json(), "expires_at": again.json()["expires_at"]})


def test_the_rest_of_what_came_by_patch_may_go_straight(client: TestClient, bucket: Store) -> None:
    place = begun(client)
    assert append(client, place, 0, CONTENT[:70_000]).status_code == 204
    assert refused(client.post(f"{place}/urls", json=wish((69_999, 1)))) == (422, "upload_part_outside")
    stored(client, place, (70_000, 230_000))
    assert client.post(f"{place}/complete").json()["sha256"] == DIGEST
    assert b"".join(bucket.read(DIGEST)) == CONTENT


def test_parts_are_left_behind_where_the_rest_comes_by_patch(client: TestClient, bucket: Store) -> None:
    place = begun(client)
    store_part(*addresses(client, place, (100, 50)), bytes(50))
    assert append(client, place, 0, CONTENT[:100]).status_code == 204
    assert append(client, place, 100, CONTENT[100:]).status_code == 204
    assert client.get(place).json()["sha256"] == DIGEST
    assert [entry.key.rpartition("/")[2] for entry in bucket.listed("")] == [DIGEST]


def test_an_address_is_good_for_a_while_and_for_one_part(client: TestClient, settings: Settings) -> None:
    place = begun(client)
    form = {**wish(PARTS[0]), "expires_seconds": 60}
    (part,) = client.post(f"{place}/urls", json=form).json()["parts"]
    assert (part["offset"], part["size"], httpx.URL(part["url"]).params["X-Amz-Expires"]) == (*PARTS[0], "60")
    assert httpx.URL(part["url"]).path.endswith(f"{place.rpartition('/')[2]}/direct/{0:020d}")
    assert "Authorization" not in part["url"]
    short = create_app(settings.model_copy(update={"upload_seconds": 90}), *_of(client))
    with TestClient(short, base_url=str(client.base_url), headers=client.headers) as other:
        assert httpx.URL(addresses(other, place, PARTS[0])[0]).params["X-Amz-Expires"] == "90"


def _of(client: TestClient) -> tuple[Database, MemoryQueue, Store]:
    services = client.app.state.services  # type: ignore[attr-defined]  # a FastAPI
    return services.database, services.queue, services.store


@pytest.mark.parametrize(
    ("sizes", "missing"),
    [
        ({}, 0),
        ({0: 100_000, 250_000: 50_000}, 100_000),
        ({0: 99_999, 100_000: 150_000, 250_000: 50_000}, 99_999),
        ({0: 100_001, 100_000: 150_000, 250_000: 50_000}, 100_001),
        ({0: 100_000, 100_000: 150_000, 250_000: 50_001}, 250_000),
        ({0: 0, 100_000: 150_000, 250_000: 50_000}, 0),
    ],
)
def test_parts_that_do_not_make_up_the_whole_are_told(client: TestClient, sizes: dict[int, int], missing: int) -> None:
    place = begun(client)
    for offset, size in sizes.items():
        store_part(*addresses(client, place, (offset, 1)), bytes(size))
    answer = client.post(f"{place}/complete")
    assert refused(answer) == (409, "upload_part_missing")
    assert f"byte {missing} of" in answer.json()["detail"]
    stored(client, place, *PARTS)
    assert client.post(f"{place}/complete").json()["sha256"] == DIGEST


def test_more_than_was_told_gets_no_further_address(client: TestClient) -> None:
    place = begun(client)
    (url,) = addresses(client, place, PARTS[0])
    store_part(url, bytes(2 * len(CONTENT) + 1))
    assert refused(client.post(f"{place}/urls", json=wish(PARTS[1]))) == (413, "upload_too_large")


def test_other_bytes_than_were_told_are_dropped(client: TestClient, bucket: Store) -> None:
    place = begun(client, sha256="0" * 64)
    stored(client, place, *PARTS)
    assert refused(client.post(f"{place}/complete")) == (460, "upload_corrupt")
    assert client.get(place).status_code == 404
    assert list(bucket.listed("")) == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (wish(), "request_invalid"),
        (wish((0, 0)), "request_invalid"),
        (wish((-1, 1)), "request_invalid"),
        (wish((0, 5 * 2**30 + 1)), "request_invalid"),
        (wish((0, len(CONTENT) + 1)), "upload_part_outside"),
        ({**wish((0, 1)), "expires_seconds": 100_000}, "request_invalid"),
    ],
)
def test_what_is_no_part_gets_no_address(client: TestClient, form: dict[str, Any], code: str) -> None:
    assert refused(client.post(f"{begun(client)}/urls", json=form)) == (422, code)


@pytest.mark.parametrize("what", ["urls", "complete"])
def test_one_request_at_a_time(client: TestClient, database: Database, what: str) -> None:
    place = begun(client)
    stored(client, place, *PARTS)
    with database.write() as session:
        held = resumable.take(session, place.rpartition("/")[2])
    answer = client.post(f"{place}/{what}", json=wish(PARTS[0]))
    assert (*refused(answer), answer.headers["Retry-After"]) == (423, "upload_locked", "1")
    with database.write() as session:
        resumable.release(session, held, kept=resumable.HOLD)
    assert client.post(f"{place}/complete").status_code == 200


def test_two_that_complete_at_once_store_it_once(client: TestClient, bucket: Store) -> None:
    place = begun(client)
    stored(client, place, *PARTS)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(f"{place}/complete"), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 423}
    assert client.post(f"{place}/complete").json()["sha256"] == DIGEST
    assert [entry.key.rpartition("/")[2] for entry in bucket.listed("")] == [DIGEST]


def test_nobody_takes_over_while_the_store_works(client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.reception._RENEW_SECONDS", 0.01)
    place, seen = begun(client), []

    def slow(*_: object) -> None:
        until = time.monotonic() + 30
        while len(set(seen)) < 3 and time.monotonic() < until:
            with database.read() as session:
                seen.append(resumable.get(session, place.rpartition("/")[2]).held_until)
        assert refused(client.post(f"{place}/complete")) == (423, "upload_locked")

    stored(client, place, *PARTS)
    adopt = Store.adopt
    monkeypatch.setattr(Store, "adopt", lambda *arguments: (slow(), adopt(*arguments)))
    assert client.post(f"{place}/complete").status_code == 200
    assert len(set(seen)) == 3


def test_parts_go_with_their_upload(client: TestClient, database: Database, bucket: Store) -> None:
    place = begun(client)
    (url,) = addresses(client, place, PARTS[0])
    store_part(url, CONTENT[: PARTS[0][1]])
    assert client.delete(place, headers=TUS).status_code == 204
    assert list(bucket.listed("")) == []
    store_part(url, b"late")  # the address is still good, and leads nowhere
    with database.read() as session:
        (item,) = halves(session, bucket, grace=resumable.HOLD * 0)
    assert (item.kind, item.size) == ("half", 4)


@pytest.mark.parametrize(("method", "what"), [("POST", "urls"), ("GET", "parts"), ("POST", "complete")])
def test_who_may_send_parts(app: FastAPI, database: Database, bucket: Store, method: str, what: str) -> None:
    people = People(app, database, bucket)
    form = {"json": wish((0, 4))} if what == "urls" else {}
    found = {}
    for owner in (MINE, THEIRS):
        place = f"/v1/uploads/{people.rows(owner)['upload_id']}/{what}"
        found |= {(owner, role): people.client(role).request(method, place, **form).status_code for role in (None, *Role)}
    good, viewer = {"urls": (200, 403), "parts": (200, 200), "complete": (409, 403)}[what]  # nothing has come to complete
    foreign = 404 if viewer == 200 else 403
    assert found == {
        **{(owner, None): 401 for owner in (MINE, THEIRS)},
        **{(MINE, role): good if role.reaches(Role.SUBMITTER) else viewer for role in Role},
        **{(THEIRS, role): good if role.reaches(Role.OPERATOR) else 404 for role in Role},
        (THEIRS, Role.VIEWER): foreign,
    }


def test_a_folder_has_no_addresses(settings: Settings, database: Database, queue: MemoryQueue, key: str) -> None:
    store = Store(settings.store_url)
    headers = {"Authorization": f"Bearer {key}"}
    with TestClient(create_app(settings, database, queue, store), base_url="http://127.0.0.1:8000", headers=headers) as client:
        place = begun(client)
        for answer in (
            client.post(f"{place}/urls", json=wish(PARTS[0])),
            client.get(f"{place}/parts"),
            client.post(f"{place}/complete"),
        ):
            assert refused(answer) == (409, "upload_not_direct")
            assert "PATCH" in answer.json()["hint"]
        assert append(client, place, 0, CONTENT).status_code == 204
        assert client.post(f"{place}/complete").json()["sha256"] == DIGEST
