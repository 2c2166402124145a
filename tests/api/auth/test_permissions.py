"""Which roles may call which routes, for the caller's own rows and for another owner's rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.auth.permissions import ROUTE_ROLES
from registry.access.permissions import Role
from registry.db.access_tables import ApiKey, AuditEvent
from tests.api.bundle_builder import build_bundle
from tests.api.fake_worker import CHECKPOINT
from tests.api.tenants import MINE, THEIRS, Tenants
from tests.api.tus_client import CHUNK_HEADERS, TUS_HEADERS

_V, _S, _A = Role.VIEWER, Role.SUBMITTER, Role.ADMIN
ZIP = b"PK\x03\x04" + bytes(1000)  # begins with the signature of a zip archive


@dataclass(frozen=True)
class RouteCase:
    """The lowest role that may call a route, and the expected response status.

    `foreign_status` is the status that operators and admins get for a row of another owner. It
    is None for routes that do not address a row with an owner.
    """

    least: Role
    status: int
    foreign_status: int | None = None
    job: str = "queued"
    query: str = ""
    body: Any = None


def owned_row(least: Role, status: int, **options: Any) -> RouteCase:
    return RouteCase(least, status, **{"foreign_status": status, **options})


JOB = {
    "student": {"architecture": "resnet8"},
    "dataset": {"id": "{dataset_id}"},
    "method": {"name": "plain"},
}
WEBHOOK = {"url": "https://example.com/", "events": ["job.succeeded"]}
ROUTE_CASES: dict[str, RouteCase] = {
    "GET /v1/me": RouteCase(_V, 200),
    "GET /v1/catalog": RouteCase(_V, 200),
    "POST /v1/session": RouteCase(_V, 201),
    # A request with a key has no session. tests/api/routes/test_browser_sessions.py tests sessions.
    "GET /v1/session": RouteCase(_V, 404),
    "DELETE /v1/session": RouteCase(_V, 404),
    "GET /v1/usage": RouteCase(_V, 200),
    "POST /v1/teachers": RouteCase(_S, 201, body={"files": {"file": ("t.pt", CHECKPOINT)}}),
    "GET /v1/teachers": RouteCase(_V, 200),
    "GET /v1/teachers/{teacher_id}": owned_row(_V, 200),
    "DELETE /v1/teachers/{teacher_id}": owned_row(_S, 204),
    "POST /v1/datasets": RouteCase(_S, 201, body={"files": {"file": ("d.zip", ZIP)}}),
    "GET /v1/datasets": RouteCase(_V, 200),
    "GET /v1/datasets/{dataset_id}": owned_row(_V, 200),
    "DELETE /v1/datasets/{dataset_id}": owned_row(_S, 204, job="failed", query="?force=true"),
    "GET /v1/datasets/{dataset_id}/samples": owned_row(_V, 200),
    "GET /v1/datasets/{dataset_id}/report": owned_row(_V, 200),
    "GET /v1/datasets/{dataset_id}/report/examples": owned_row(_V, 200),
    "OPTIONS /v1/uploads": RouteCase(_V, 204),
    "POST /v1/uploads": RouteCase(_S, 201, body={"headers": {**TUS_HEADERS, "Upload-Length": "4"}}),
    "GET /v1/uploads": RouteCase(_V, 200),
    "GET /v1/uploads/{upload_id}": owned_row(_V, 200),
    "HEAD /v1/uploads/{upload_id}": owned_row(_V, 200, body={"headers": TUS_HEADERS}),
    "PATCH /v1/uploads/{upload_id}": owned_row(
        _S, 204, body={"headers": {**CHUNK_HEADERS, "Upload-Offset": "0"}, "content": b"last"}
    ),
    "DELETE /v1/uploads/{upload_id}": owned_row(_S, 204, body={"headers": TUS_HEADERS}),
    # Local stores do not support direct uploads. tests/api/routes/test_direct_uploads.py tests S3.
    "GET /v1/uploads/{upload_id}/parts": owned_row(_V, 409),
    "POST /v1/uploads/{upload_id}/urls": owned_row(
        _S, 409, body={"parts": [{"offset": 0, "size": 4}]}
    ),
    "POST /v1/uploads/{upload_id}/complete": owned_row(_S, 409),
    "POST /v1/jobs": RouteCase(_S, 201, body=JOB),
    "GET /v1/jobs": RouteCase(_V, 200),
    "GET /v1/jobs/{job_id}": owned_row(_V, 200),
    "PATCH /v1/jobs/{job_id}": owned_row(_S, 200, body={"notes": "n"}),
    "DELETE /v1/jobs/{job_id}": owned_row(_S, 204, job="failed"),
    "POST /v1/jobs/{job_id}/cancel": owned_row(_S, 200),
    "POST /v1/jobs/{job_id}/pause": owned_row(_S, 200),
    "POST /v1/jobs/{job_id}/resume": owned_row(_S, 200, job="paused"),
    "POST /v1/jobs/{job_id}/retry": owned_row(_S, 200, job="failed"),
    "POST /v1/jobs/{job_id}/clone": owned_row(_S, 201),
    "GET /v1/jobs/{job_id}/attempts": owned_row(_V, 200),
    "GET /v1/jobs/{job_id}/events": owned_row(_V, 200),
    "GET /v1/jobs/{job_id}/logs": owned_row(_V, 200),
    "GET /v1/jobs/{job_id}/metrics": owned_row(_V, 200),
    "GET /v1/models": RouteCase(_V, 200),
    "GET /v1/models/compare": owned_row(_V, 200, query="?ids={model},{model}"),
    "POST /v1/models/import": RouteCase(
        _S, 201, body={"files": {"file": ("b.zip", build_bundle())}}
    ),
    "GET /v1/models/{model}": owned_row(_V, 200),
    "PATCH /v1/models/{model}": owned_row(_S, 200, body={"notes": "n"}),
    "DELETE /v1/models/{model}": owned_row(_S, 204, query="?force=true"),
    "GET /v1/models/{model}/lineage": owned_row(_V, 200),
    "GET /v1/models/{model}/card": owned_row(_V, 200),
    "GET /v1/models/{model}/bundle": owned_row(_V, 200),
    "HEAD /v1/models/{model}/bundle": owned_row(_V, 200),
    "GET /v1/models/{model}/files/{name}": owned_row(_V, 200),
    "HEAD /v1/models/{model}/files/{name}": owned_row(_V, 200),
    "POST /v1/models/{model}/files/{name}/url": owned_row(_S, 200),
    # Names belong to the caller's owner, so operators cannot address the names of other owners.
    "GET /v1/registry": RouteCase(_V, 200),
    "GET /v1/registry/{model_name}": owned_row(_V, 200, foreign_status=404),
    "PUT /v1/registry/{model_name}/aliases/{alias}": owned_row(
        _S, 200, foreign_status=404, body={"model": "{model}"}
    ),
    "DELETE /v1/registry/{model_name}/aliases/{alias}": owned_row(_S, 204, foreign_status=404),
    "POST /v1/webhooks": RouteCase(_S, 201, body=WEBHOOK),
    "GET /v1/webhooks": RouteCase(_V, 200),
    "GET /v1/webhooks/{webhook_id}": owned_row(_V, 200),
    "PATCH /v1/webhooks/{webhook_id}": owned_row(_S, 200, body={"enabled": False}),
    "DELETE /v1/webhooks/{webhook_id}": owned_row(_S, 204),
    "POST /v1/webhooks/{webhook_id}/ping": owned_row(_S, 202),
    "GET /v1/webhooks/{webhook_id}/deliveries": owned_row(_V, 200),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": owned_row(_S, 202),
    "POST /v1/keys": RouteCase(_A, 201, body={"name": "new"}),
    "GET /v1/keys": RouteCase(_A, 200),
    "GET /v1/keys/{key_id}": RouteCase(_A, 200),
    "POST /v1/keys/{key_id}/rotate": RouteCase(_A, 200),
    "POST /v1/keys/{key_id}/revoke": RouteCase(_A, 200),
    "GET /v1/queues": RouteCase(_V, 200),
    "GET /v1/workers": RouteCase(_V, 200),
    "GET /v1/workers/{worker_id}": RouteCase(_V, 200),
    "POST /v1/workers/{worker_id}/drain": RouteCase(Role.OPERATOR, 200),
    "DELETE /v1/workers/{worker_id}/drain": RouteCase(Role.OPERATOR, 200),
    "GET /v1/audit": RouteCase(_A, 200),
    "GET /v1/quotas": RouteCase(_A, 200),
    "GET /v1/quotas/{owner}": RouteCase(_A, 200),
    "PUT /v1/quotas/{owner}": RouteCase(_A, 200, body={"queued_jobs": 1000}),
}
# Public paths and paths that another mechanism protects. Other tests cover them.
UNAUTHENTICATED_PATHS = {
    "/",
    "/portal/{name:path}",
    "/login",
    "/login/oidc",
    "/login/oidc/callback",
    "/docs",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/metrics",
    "/signed/models/{model_id}/files/{name}",
}


def iter_routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield the method and path of every route of the application."""
    for route in app.router.routes:
        yield from _iter_nested_routes(route, "")


def _iter_nested_routes(route: Any, prefix: str) -> Iterator[tuple[str, str]]:
    inner = getattr(getattr(route, "original_router", None), "routes", None)
    if inner is not None:
        for nested_route in inner:
            yield from _iter_nested_routes(nested_route, prefix)
        return
    for method in route.methods - ({"HEAD"} if "GET" in route.methods else set()):
        yield method, route.path


def test_every_route_is_in_the_table(app: FastAPI) -> None:
    routes = {
        f"{method} {path}" for method, path in iter_routes(app) if path not in UNAUTHENTICATED_PATHS
    }
    assert len(routes) > 50
    assert routes == {entry.replace("{model_name}", "{name}") for entry in ROUTE_CASES}
    assert set(ROUTE_ROLES) == {
        entry.replace("{model_name}", "{name}")
        for entry in ROUTE_CASES
        if not entry.startswith("HEAD ")
    }


def fill_placeholders(value: Any, names: dict[str, str]) -> Any:
    """Replace `{name}` placeholders in a string or in every string of nested dictionaries."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    return (
        {key: fill_placeholders(part, names) for key, part in value.items()}
        if isinstance(value, dict)
        else value
    )


def expected_status(case: RouteCase, role: Role | None, owner: str) -> int:
    if role is None:
        return 401
    if not role.at_least(case.least):
        return 403
    if owner == MINE or case.foreign_status is None:
        return case.status
    return case.foreign_status if role.at_least(Role.OPERATOR) else 404


@pytest.mark.parametrize("entry", ROUTE_CASES)
def test_a_route_allows_its_roles_and_hides_rows_of_others(tenants: Tenants, entry: str) -> None:
    case, (method, path) = ROUTE_CASES[entry], entry.split(" ")
    responses, expected = {}, {}
    for role in (None, *Role):
        for owner in (MINE, THEIRS) if case.foreign_status is not None else (MINE,):
            other_key = tenants.create_key(Role.VIEWER).split("_")[1]
            names = {
                **tenants.create_rows(owner, status=case.job),
                "name": "student.onnx",
                "alias": "old",
                "owner": "somebody",
            }
            names |= {
                "key_id": get_key_id(tenants, other_key),
                "worker_id": tenants.create_worker(),
            }
            body = fill_placeholders(case.body, names) if isinstance(case.body, dict) else None
            request_options = (
                body if body and {"files", "headers"} & body.keys() else {"json": body}
            )
            response = tenants.create_client(role).request(
                method, fill_placeholders(path + case.query, names), **request_options
            )
            responses[role, owner], expected[role, owner] = (
                response.status_code,
                expected_status(case, role, owner),
            )
            if response.is_success and method not in {"GET", "HEAD", "OPTIONS"}:
                assert_audited(tenants, response.headers["X-Request-Id"], role)
    assert responses == expected


def get_key_id(tenants: Tenants, prefix: str) -> str:
    with tenants.database.read() as session:
        return session.execute(select(ApiKey.id).where(ApiKey.prefix == prefix)).scalar_one()


def assert_audited(tenants: Tenants, request_id: str, role: Role | None) -> None:
    with tenants.database.read() as session:
        rows = (
            session.execute(select(AuditEvent).where(AuditEvent.request_id == request_id))
            .scalars()
            .all()
        )
    assert rows
    assert {(entry.role, entry.owner, entry.address) for entry in rows} == {
        (role, MINE, "testclient")
    }


HIDDEN_ROW_ROUTES = [
    entry for entry, case in ROUTE_CASES.items() if case.foreign_status == case.status
]


@pytest.mark.parametrize("entry", HIDDEN_ROW_ROUTES)
def test_the_response_for_a_foreign_id_is_that_for_an_unknown_id(
    tenants: Tenants, entry: str
) -> None:
    """Even conditional requests and requests for an event stream get the same response."""
    case, (method, path) = ROUTE_CASES[entry], entry.split(" ")
    client = tenants.create_client()
    foreign_ids = {**tenants.create_rows(THEIRS, status=case.job), "name": "student.onnx"}
    unknown_ids = {name: f"{name}_0" for name in foreign_ids} | {"name": "student.onnx"}
    texts = []
    for names in (foreign_ids, unknown_ids):
        headers = {"If-None-Match": "*", "Accept": "text/event-stream", "X-Request-Id": "same"}
        body = case.body or {}
        request_options = (
            {"content": body.get("content")} if "headers" in body else {"json": case.body}
        )
        headers |= body.get("headers", {})
        response = client.request(
            method, fill_placeholders(path + case.query, names), headers=headers, **request_options
        )
        text = response.text
        for name, value in names.items():
            text = text.replace(value, f"<{name}>")
        texts.append(
            (response.status_code, text, sorted(set(response.headers) - {"content-length"}))
        )
    assert texts[0] == texts[1]
    assert texts[0][0] == 404


@pytest.mark.parametrize("kind", ["teachers", "datasets", "jobs", "models", "webhooks", "uploads"])
def test_lists_contain_only_rows_of_the_owner(tenants: Tenants, kind: str) -> None:
    mine, theirs = tenants.create_rows(MINE), tenants.create_rows(THEIRS)
    name = "model" if kind == "models" else f"{kind[:-1]}_id"

    def list_ids(role: Role, query: str = "") -> set[str]:
        return {
            entry["id"]
            for entry in tenants.create_client(role).get(f"/v1/{kind}{query}").json()["items"]
        }

    assert mine[name] in list_ids(Role.VIEWER)
    assert theirs[name] not in list_ids(Role.VIEWER)
    assert {mine[name], theirs[name]} <= list_ids(Role.OPERATOR)
    if kind == "jobs":
        assert list_ids(Role.SUBMITTER, f"?owner={THEIRS}") == set()
        assert theirs[name] in list_ids(Role.OPERATOR, f"?owner={THEIRS}")


@pytest.mark.parametrize("part", ["dataset", "teacher", "model"])
def test_a_spec_can_only_use_rows_of_the_owner(tenants: Tenants, part: str) -> None:
    mine, theirs = tenants.create_rows(MINE), tenants.create_rows(THEIRS)

    def spec(names: dict[str, str]) -> dict[str, Any]:
        teacher = {
            "teacher": {"id": names["teacher_id"]},
            "model": {"model_id": names["model"]},
        }.get(part)
        dataset = {"id": (names if part == "dataset" else mine)["dataset_id"]}
        method = {"name": "kd"} if teacher else {"name": "plain"}
        return {
            "student": {"architecture": "resnet8"},
            "dataset": dataset,
            "teacher": teacher,
            "method": method,
        }

    client, unknown_ids = tenants.create_client(), {name: f"{name}_0" for name in theirs}
    responses = [client.post("/v1/jobs", json=spec(names)) for names in (theirs, unknown_ids)]
    assert [response.status_code for response in responses] == [422, 422]
    assert len({response.json()["code"] for response in responses}) == 1
    assert responses[0].json()["code"].endswith("_unknown")
    plan = client.post("/v1/jobs?validate_only=true", json=spec(theirs)).json()
    assert (plan["valid"], plan["problems"][0]["code"]) == (False, responses[0].json()["code"])


def test_scopes_restrict_a_role(tenants: Tenants) -> None:
    client = tenants.create_client(Role.SUBMITTER, scopes=("jobs:read",))
    job = tenants.create_rows(MINE)["job_id"]
    assert client.get(f"/v1/jobs/{job}").status_code == 200
    assert client.get("/v1/me").json()["scopes"] == ["jobs:read"]
    for response in (client.post(f"/v1/jobs/{job}/cancel"), client.get("/v1/models")):
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


def test_several_keys_share_an_owner(tenants: Tenants) -> None:
    first_client, second_client = tenants.create_client(), tenants.create_client()
    dataset = tenants.create_rows(MINE)["dataset_id"]
    job = first_client.post("/v1/jobs", json=fill_placeholders(JOB, {"dataset_id": dataset})).json()
    assert job["owner"] == MINE
    assert second_client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
