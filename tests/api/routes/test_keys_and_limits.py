"""API keys, the audit log, quotas, rate limits and usage."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from registry.access.permissions import Role
from registry.settings import Settings
from registry.testing import InMemoryJobQueue
from tests.api.tenants import MINE, Tenants


def with_limits(tenants: Tenants, settings: Settings, **limits: Any) -> Tenants:
    """Return the tenants of a service with the given limits."""
    changed_settings = settings.model_copy(update=limits)
    return Tenants(
        create_app(changed_settings, tenants.database, InMemoryJobQueue(), tenants.store),
        tenants.database,
        tenants.store,
    )


@pytest.fixture
def admin(tenants: Tenants) -> Iterator[TestClient]:
    with tenants.create_client(Role.ADMIN, owner="admins") as client:
        yield client


def client_with_key(tenants: Tenants, key: str) -> TestClient:
    return TestClient(
        tenants.app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    )


def test_a_key_is_returned_once_and_can_be_used_rotated_and_revoked(
    tenants: Tenants, admin: TestClient
) -> None:
    body = {"name": "ci", "role": "viewer", "owner": MINE, "scopes": ["jobs:read", "jobs:read"]}
    response = admin.post("/v1/keys", json=body)
    key = response.json()
    assert (response.status_code, response.headers["Location"]) == (201, f"/v1/keys/{key['id']}")
    assert client_with_key(tenants, key["key"]).get("/v1/me").json() == {
        "id": key["id"],
        "name": "ci",
        "role": "viewer",
        "owner": MINE,
        "scopes": ["jobs:read"],
        "expires_at": None,
    }
    key_without_secret = admin.get(f"/v1/keys/{key['id']}").json()
    assert "key" not in key_without_secret
    assert key_without_secret["last_used_at"] is not None
    new_secret = admin.post(f"/v1/keys/{key['id']}/rotate", json={"grace_seconds": 0}).json()["key"]
    assert client_with_key(tenants, key["key"]).get("/v1/me").status_code == 401
    assert client_with_key(tenants, new_secret).get("/v1/me").status_code == 200
    admin.post(f"/v1/keys/{key['id']}/revoke")
    assert client_with_key(tenants, new_secret).get("/v1/me").json()["code"] == "key_revoked"
    assert {entry["id"] for entry in admin.get(f"/v1/keys?owner={MINE}").json()["items"]} == {
        key["id"]
    }


def test_a_repeated_request_creates_one_key_whose_secret_is_not_stored(
    tenants: Tenants, admin: TestClient
) -> None:
    responses = [
        admin.post("/v1/keys", json={"name": "k"}, headers={"Idempotency-Key": "1"}).json()
        for _ in range(2)
    ]
    assert responses[0]["id"] == responses[1]["id"]
    assert responses[1] == {**responses[0], "key": None}
    secret = responses[0]["key"].split("_", 2)[2]
    assert (
        secret
        not in tenants.database.engine.raw_connection()
        .cursor()
        .execute("SELECT * FROM idempotency_keys")
        .fetchall()[0]
    )


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "k", "role": "root"}, {"name": "k", "scopes": ["jobs:eat"]}]
)
def test_an_invalid_key_request_is_rejected(admin: TestClient, body: dict[str, Any]) -> None:
    assert admin.post("/v1/keys", json=body).status_code == 422


def test_the_audit_log_is_filtered_and_paged(admin: TestClient) -> None:
    response = [
        admin.post("/v1/keys", json={"name": f"k{number}"}).json()["id"] for number in range(3)
    ]
    admin.put("/v1/quotas/somebody", json={"queued_jobs": 1}, headers={"X-Request-Id": "quota-1"})
    first_page = admin.get(
        "/v1/audit", params={"action": "key.created", "owner": "admins", "limit": 2}
    ).json()
    second_page = admin.get(
        "/v1/audit",
        params={"action": "key.created", "cursor": first_page["next_cursor"], "limit": 2},
    ).json()
    assert [entry["subject"] for entry in first_page["items"] + second_page["items"]][
        :3
    ] == response[::-1]
    (event,) = admin.get("/v1/audit", params={"request_id": "quota-1"}).json()["items"]
    facts = (
        event["action"],
        event["subject"],
        event["role"],
        event["owner"],
        event["data"]["queued_jobs"],
    )
    assert facts == ("quota.set", "somebody", "admin", "admins", 1)
    assert admin.get("/v1/audit", params={"before": "2020-01-01T00:00:00Z"}).json()["items"] == []
    assert admin.get(
        "/v1/audit", params={"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"}
    ).status_code in {200, 422}


def job_request(dataset: str) -> dict[str, Any]:
    return {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset},
        "method": {"name": "plain"},
    }


def test_queued_jobs_are_limited_even_for_concurrent_requests(
    tenants: Tenants, admin: TestClient
) -> None:
    dataset, client = tenants.create_rows(MINE)["dataset_id"], tenants.create_client()
    admin.put(f"/v1/quotas/{MINE}", json={"queued_jobs": 3})
    with ThreadPoolExecutor(4) as pool:
        responses = list(
            pool.map(lambda _: client.post("/v1/jobs", json=job_request(dataset)), range(4))
        )
    # One job is already queued, so two more fit into the quota.
    assert sorted(response.status_code for response in responses) == [
        201,
        201,
        403,
        403,
    ]
    rejected = next(response for response in responses if response.status_code == 403).json()
    assert rejected["code"] == "quota_exceeded"
    assert "queued_jobs is 3 waiting jobs, and 3 are in use" in rejected["detail"]
    assert client.get("/v1/usage").json()["queued_jobs"] == {"used": 3.0, "limit": 3}
    assert [entry["owner"] for entry in admin.get("/v1/quotas").json()["items"]] == [MINE]
    admin.put(f"/v1/quotas/{MINE}", json={})
    assert admin.get("/v1/quotas").json()["items"] == []
    assert client.post("/v1/jobs", json=job_request(dataset)).status_code == 201


def test_stored_bytes_are_limited_by_the_service_default(
    tenants: Tenants, settings: Settings, archive: bytes
) -> None:
    client = with_limits(tenants, settings, quota_stored_bytes=len(archive) + 1).create_client()
    assert client.post("/v1/datasets", files={"file": ("a.zip", archive)}).status_code == 201
    rejected = client.post("/v1/datasets", files={"file": ("b.zip", archive)})
    assert (rejected.status_code, rejected.json()["code"]) == (403, "quota_exceeded")
    assert client.get("/v1/usage").json()["stored_bytes"]["used"] == len(archive)
    assert len(client.get("/v1/datasets").json()["items"]) == 1


def test_requests_are_limited_per_key_and_reported_in_headers(
    tenants: Tenants, settings: Settings
) -> None:
    limited = with_limits(tenants, settings, rate_per_minute=5)
    client, other_client = limited.create_client(), limited.create_client()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: client.get("/v1/me"), range(12)))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [429] * 7
    rejected = next(response for response in responses if response.status_code == 429)
    assert rejected.json()["code"] == "rate_exceeded"
    assert 0 < int(rejected.headers["Retry-After"]) <= 60
    assert (rejected.headers["RateLimit-Limit"], rejected.headers["RateLimit-Remaining"]) == (
        "5",
        "0",
    )
    response = other_client.get("/v1/me")
    assert (response.status_code, response.headers["RateLimit-Remaining"]) == (200, "4")


def test_unauthenticated_requests_are_limited_per_address(
    tenants: Tenants, settings: Settings
) -> None:
    limited = with_limits(tenants, settings, rate_unknown_per_minute=2)
    anonymous_client = limited.create_client(None)
    assert [anonymous_client.get("/v1/me").status_code for _ in range(3)] == [401, 401, 429]
    assert limited.create_client().get("/v1/me").status_code == 200


def test_metrics_of_all_owners_need_the_operator_role(tenants: Tenants, settings: Settings) -> None:
    limited = with_limits(tenants, settings, metrics="key")
    assert {role: limited.create_client(role).get("/metrics").status_code for role in Role} == {
        Role.VIEWER: 403,
        Role.SUBMITTER: 403,
        Role.OPERATOR: 200,
        Role.ADMIN: 200,
    }
