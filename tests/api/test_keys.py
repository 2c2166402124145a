"""Keys, the audit log, quotas and usage through the API."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry.access import Role
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.api.people import MINE, People


@pytest.fixture
def people(app: FastAPI, database: Database, store: Store) -> People:
    return People(app, database, store)


def limited(people: People, settings: Settings, **limits: Any) -> People:
    """The same people before a service with other settings."""
    changed = settings.model_copy(update=limits)
    return People(create_app(changed, people.database, MemoryQueue(), people.store), people.database, people.store)


@pytest.fixture
def admin(people: People) -> Iterator[TestClient]:
    with people.client(Role.ADMIN, owner="admins") as client:
        yield client


def as_key(people: People, key: str) -> TestClient:
    return TestClient(people.app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"})


def test_a_key_is_shown_once_used_rotated_and_revoked(people: People, admin: TestClient) -> None:
    form = {"name": "ci", "role": "viewer", "owner": MINE, "scopes": ["jobs:read", "jobs:read"]}
    made = admin.post("/v1/keys", json=form)
    key = made.json()
    assert (made.status_code, made.headers["Location"]) == (201, f"/v1/keys/{key['id']}")
    assert as_key(people, key["key"]).get("/v1/me").json() == {
        "id": key["id"],
        "name": "ci",
        "role": "viewer",
        "owner": MINE,
        "scopes": ["jobs:read"],
        "expires_at": None,
    }
    shown = admin.get(f"/v1/keys/{key['id']}").json()
    assert "key" not in shown
    assert shown["last_used_at"] is not None
    new = admin.post(f"/v1/keys/{key['id']}/rotate", json={"grace_seconds": 0}).json()["key"]
    assert as_key(people, key["key"]).get("/v1/me").status_code == 401
    assert as_key(people, new).get("/v1/me").status_code == 200
    admin.post(f"/v1/keys/{key['id']}/revoke")
    assert as_key(people, new).get("/v1/me").json()["code"] == "key_revoked"
    assert {entry["id"] for entry in admin.get(f"/v1/keys?owner={MINE}").json()["items"]} == {key["id"]}


def test_a_repeated_request_makes_one_key_and_does_not_keep_it(people: People, admin: TestClient) -> None:
    answers = [admin.post("/v1/keys", json={"name": "k"}, headers={"Idempotency-Key": "1"}).json() for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert answers[1] == {**answers[0], "key": None}
    secret = answers[0]["key"].split("_", 2)[2]
    assert secret not in people.database.engine.raw_connection().cursor().execute("SELECT * FROM idempotency_keys").fetchall()[0]


@pytest.mark.parametrize("form", [{"name": ""}, {"name": "k", "role": "root"}, {"name": "k", "scopes": ["jobs:eat"]}])
def test_a_key_that_cannot_be_is_refused(admin: TestClient, form: dict[str, Any]) -> None:
    assert admin.post("/v1/keys", json=form).status_code == 422


def test_the_audit_log_is_filtered_and_paged(admin: TestClient) -> None:
    made = [admin.post("/v1/keys", json={"name": f"k{number}"}).json()["id"] for number in range(3)]
    admin.put("/v1/quotas/somebody", json={"queued_jobs": 1}, headers={"X-Request-Id": "quota-1"})
    found = admin.get("/v1/audit", params={"action": "key.created", "owner": "admins", "limit": 2}).json()
    rest = admin.get("/v1/audit", params={"action": "key.created", "cursor": found["next_cursor"], "limit": 2}).json()
    assert [entry["subject"] for entry in found["items"] + rest["items"]][:3] == made[::-1]
    (one,) = admin.get("/v1/audit", params={"request_id": "quota-1"}).json()["items"]
    told = (one["action"], one["subject"], one["role"], one["owner"], one["data"]["queued_jobs"])
    assert told == ("quota.set", "somebody", "admin", "admins", 1)
    assert admin.get("/v1/audit", params={"before": "2020-01-01T00:00:00Z"}).json()["items"] == []
    assert admin.get("/v1/audit", params={"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"}).status_code in {200, 422}


def job(dataset: str) -> dict[str, Any]:
    return {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset}, "method": {"name": "plain"}}


def test_waiting_jobs_are_limited_even_when_they_race(people: People, admin: TestClient) -> None:
    dataset, client = people.rows(MINE)["dataset_id"], people.client()
    admin.put(f"/v1/quotas/{MINE}", json={"queued_jobs": 3})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/jobs", json=job(dataset)), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 403, 403]  # one waits already
    refused = next(answer for answer in answers if answer.status_code == 403).json()
    assert refused["code"] == "quota_exceeded"
    assert "queued_jobs is 3 waiting jobs; 3 are used" in refused["detail"]
    assert client.get("/v1/usage").json()["queued_jobs"] == {"used": 3.0, "limit": 3}
    assert [entry["owner"] for entry in admin.get("/v1/quotas").json()["items"]] == [MINE]
    admin.put(f"/v1/quotas/{MINE}", json={})
    assert admin.get("/v1/quotas").json()["items"] == []
    assert client.post("/v1/jobs", json=job(dataset)).status_code == 201


def test_stored_bytes_are_limited_by_the_default(people: People, settings: Settings, archive: bytes) -> None:
    client = limited(people, settings, quota_stored_bytes=len(archive) + 1).client()
    assert client.post("/v1/datasets", files={"file": ("a.zip", archive)}).status_code == 201
    refused = client.post("/v1/datasets", files={"file": ("b.zip", archive)})
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert client.get("/v1/usage").json()["stored_bytes"]["used"] == len(archive)
    assert len(client.get("/v1/datasets").json()["items"]) == 1


def test_a_key_s_requests_are_limited_and_told(people: People, settings: Settings) -> None:
    some = limited(people, settings, rate_per_minute=5)
    client, other = some.client(), some.client()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/v1/me"), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 7
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_exceeded"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("5", "0")
    first = other.get("/v1/me")
    assert (first.status_code, first.headers["RateLimit-Remaining"]) == (200, "4")


def test_strangers_are_limited_by_their_address(people: People, settings: Settings) -> None:
    some = limited(people, settings, rate_unknown_per_minute=2)
    stranger = some.client(None)
    assert [stranger.get("/v1/me").status_code for _ in range(3)] == [401, 401, 429]
    assert some.client().get("/v1/me").status_code == 200


def test_numbers_of_all_owners_are_for_operators(people: People, settings: Settings) -> None:
    some = limited(people, settings, metrics="key")
    assert {role: some.client(role).get("/metrics").status_code for role in Role} == {
        Role.VIEWER: 403,
        Role.SUBMITTER: 403,
        Role.OPERATOR: 200,
        Role.ADMIN: 200,
    }
