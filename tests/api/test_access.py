"""Who may do what: every route, every role, own rows and those of others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.access import NEEDS
from registry.access import Role
from registry.db import Database
from registry.store import Store
from registry.tables import ApiKey, AuditEvent
from tests.api.bundles import bundle
from tests.api.conftest import CHECKPOINT
from tests.api.people import MINE, THEIRS, People
from tests.api.tus import STREAM, TUS

_V, _S, _A = Role.VIEWER, Role.SUBMITTER, Role.ADMIN
ZIP = b"PK\x03\x04" + bytes(1000)  # begins as one


@dataclass(frozen=True)
class Case:
    """What a route answers to whoever may use it, and which rows it is about.

    `theirs` is the answer about another's row to operators and admins; None: the route names no row of an owner.
    """

    least: Role
    status: int
    theirs: int | None = None
    job: str = "queued"
    query: str = ""
    body: Any = None


def row(least: Role, status: int, **facts: Any) -> Case:
    return Case(least, status, **{"theirs": status, **facts})


JOB = {"student": {"architecture": "resnet8"}, "dataset": {"id": "{dataset_id}"}, "method": {"name": "plain"}}
HOOK = {"url": "https://example.com/", "events": ["job.succeeded"]}
MATRIX: dict[str, Case] = {
    "GET /v1/me": Case(_V, 200),
    "GET /v1/catalog": Case(_V, 200),
    "POST /v1/session": Case(_V, 201),
    "GET /v1/session": Case(_V, 404),  # a key is no session: tests/api/test_sessions.py
    "DELETE /v1/session": Case(_V, 404),
    "GET /v1/usage": Case(_V, 200),
    "POST /v1/teachers": Case(_S, 201, body={"files": {"file": ("t.pt", CHECKPOINT)}}),
    "GET /v1/teachers": Case(_V, 200),
    "GET /v1/teachers/{teacher_id}": row(_V, 200),
    "DELETE /v1/teachers/{teacher_id}": row(_S, 204),
    "POST /v1/datasets": Case(_S, 201, body={"files": {"file": ("d.zip", ZIP)}}),
    "GET /v1/datasets": Case(_V, 200),
    "GET /v1/datasets/{dataset_id}": row(_V, 200),
    "DELETE /v1/datasets/{dataset_id}": row(_S, 204, job="failed", query="?force=true"),
    "GET /v1/datasets/{dataset_id}/samples": row(_V, 200),
    "OPTIONS /v1/uploads": Case(_V, 204),
    "POST /v1/uploads": Case(_S, 201, body={"headers": {**TUS, "Upload-Length": "4"}}),
    "GET /v1/uploads": Case(_V, 200),
    "GET /v1/uploads/{upload_id}": row(_V, 200),
    "HEAD /v1/uploads/{upload_id}": row(_V, 200, body={"headers": TUS}),
    "PATCH /v1/uploads/{upload_id}": row(_S, 204, body={"headers": {**STREAM, "Upload-Offset": "0"}, "content": b"last"}),
    "DELETE /v1/uploads/{upload_id}": row(_S, 204, body={"headers": TUS}),
    "GET /v1/uploads/{upload_id}/parts": row(_V, 409),  # a folder has no addresses: tests/api/test_direct.py
    "POST /v1/uploads/{upload_id}/urls": row(_S, 409, body={"parts": [{"offset": 0, "size": 4}]}),
    "POST /v1/uploads/{upload_id}/complete": row(_S, 409),
    "POST /v1/jobs": Case(_S, 201, body=JOB),
    "GET /v1/jobs": Case(_V, 200),
    "GET /v1/jobs/{job_id}": row(_V, 200),
    "PATCH /v1/jobs/{job_id}": row(_S, 200, body={"notes": "n"}),
    "DELETE /v1/jobs/{job_id}": row(_S, 204, job="failed"),
    "POST /v1/jobs/{job_id}/cancel": row(_S, 200),
    "POST /v1/jobs/{job_id}/pause": row(_S, 200),
    "POST /v1/jobs/{job_id}/resume": row(_S, 200, job="paused"),
    "POST /v1/jobs/{job_id}/retry": row(_S, 200, job="failed"),
    "POST /v1/jobs/{job_id}/clone": row(_S, 201),
    "GET /v1/jobs/{job_id}/attempts": row(_V, 200),
    "GET /v1/jobs/{job_id}/events": row(_V, 200),
    "GET /v1/jobs/{job_id}/logs": row(_V, 200),
    "GET /v1/jobs/{job_id}/metrics": row(_V, 200),
    "GET /v1/models": Case(_V, 200),
    "GET /v1/models/compare": row(_V, 200, query="?ids={model},{model}"),
    "POST /v1/models/import": Case(_S, 201, body={"files": {"file": ("b.zip", bundle())}}),
    "GET /v1/models/{model}": row(_V, 200),
    "PATCH /v1/models/{model}": row(_S, 200, body={"notes": "n"}),
    "DELETE /v1/models/{model}": row(_S, 204, query="?force=true"),
    "GET /v1/models/{model}/lineage": row(_V, 200),
    "GET /v1/models/{model}/card": row(_V, 200),
    "GET /v1/models/{model}/bundle": row(_V, 200),
    "HEAD /v1/models/{model}/bundle": row(_V, 200),
    "GET /v1/models/{model}/files/{name}": row(_V, 200),
    "HEAD /v1/models/{model}/files/{name}": row(_V, 200),
    "POST /v1/models/{model}/files/{name}/url": row(_S, 200),
    # Names are the caller's own: an operator's request speaks of the operator's.
    "GET /v1/registry": Case(_V, 200),
    "GET /v1/registry/{model_name}": row(_V, 200, theirs=404),
    "PUT /v1/registry/{model_name}/aliases/{alias}": row(_S, 200, theirs=404, body={"model": "{model}"}),
    "DELETE /v1/registry/{model_name}/aliases/{alias}": row(_S, 204, theirs=404),
    "POST /v1/webhooks": Case(_S, 201, body=HOOK),
    "GET /v1/webhooks": Case(_V, 200),
    "GET /v1/webhooks/{webhook_id}": row(_V, 200),
    "PATCH /v1/webhooks/{webhook_id}": row(_S, 200, body={"enabled": False}),
    "DELETE /v1/webhooks/{webhook_id}": row(_S, 204),
    "POST /v1/webhooks/{webhook_id}/ping": row(_S, 202),
    "GET /v1/webhooks/{webhook_id}/deliveries": row(_V, 200),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": row(_S, 202),
    "POST /v1/keys": Case(_A, 201, body={"name": "new"}),
    "GET /v1/keys": Case(_A, 200),
    "GET /v1/keys/{key_id}": Case(_A, 200),
    "POST /v1/keys/{key_id}/rotate": Case(_A, 200),
    "POST /v1/keys/{key_id}/revoke": Case(_A, 200),
    "GET /v1/queues": Case(_V, 200),
    "GET /v1/workers": Case(_V, 200),
    "GET /v1/workers/{worker_id}": Case(_V, 200),
    "POST /v1/workers/{worker_id}/drain": Case(Role.OPERATOR, 200),
    "DELETE /v1/workers/{worker_id}/drain": Case(Role.OPERATOR, 200),
    "GET /v1/audit": Case(_A, 200),
    "GET /v1/quotas": Case(_A, 200),
    "GET /v1/quotas/{owner}": Case(_A, 200),
    "PUT /v1/quotas/{owner}": Case(_A, 200, body={"queued_jobs": 1000}),
}
# Open to all, or guarded by something else than a key, each with tests of its own.
BESIDE = {
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


@pytest.fixture
def people(app: FastAPI, database: Database, store: Store) -> People:
    return People(app, database, store)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path of the application."""
    for found in app.router.routes:
        yield from _within(found, "")


def _within(found: Any, prefix: str) -> Iterator[tuple[str, str]]:
    inner = getattr(getattr(found, "original_router", None), "routes", None)
    if inner is not None:
        for one in inner:
            yield from _within(one, prefix)
        return
    for method in found.methods - ({"HEAD"} if "GET" in found.methods else set()):
        yield method, found.path


def test_every_route_has_its_place_in_the_table(app: FastAPI) -> None:
    found = {f"{method} {path}" for method, path in routes(app) if path not in BESIDE}
    assert len(found) > 50
    assert found == {entry.replace("{model_name}", "{name}") for entry in MATRIX}
    assert set(NEEDS) == {entry.replace("{model_name}", "{name}") for entry in MATRIX if not entry.startswith("HEAD ")}


def filled(value: Any, names: dict[str, str]) -> Any:
    """The texts in a value with the names in them replaced."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace("{" + name + "}", text)
        return value
    return {key: filled(part, names) for key, part in value.items()} if isinstance(value, dict) else value


def expected(case: Case, role: Role | None, owner: str) -> int:
    if role is None:
        return 401
    if not role.reaches(case.least):
        return 403
    if owner == MINE or case.theirs is None:
        return case.status
    return case.theirs if role.reaches(Role.OPERATOR) else 404


@pytest.mark.parametrize("entry", MATRIX)
def test_a_route_opens_to_its_roles_and_shows_nothing_of_others(people: People, entry: str) -> None:
    case, (method, path) = MATRIX[entry], entry.split(" ")
    answers, wanted = {}, {}
    for role in (None, *Role):
        for owner in (MINE, THEIRS) if case.theirs is not None else (MINE,):
            other = people.key(Role.VIEWER).split("_")[1]
            names = {**people.rows(owner, status=case.job), "name": "student.onnx", "alias": "old", "owner": "somebody"}
            names |= {"key_id": key_id_of(people, other), "worker_id": people.worker()}
            body = filled(case.body, names) if isinstance(case.body, dict) else None
            sent = body if body and {"files", "headers"} & body.keys() else {"json": body}
            answer = people.client(role).request(method, filled(path + case.query, names), **sent)
            answers[role, owner], wanted[role, owner] = answer.status_code, expected(case, role, owner)
            if answer.is_success and method not in {"GET", "HEAD", "OPTIONS"}:
                assert_audited(people, answer.headers["X-Request-Id"], role)
    assert answers == wanted


def key_id_of(people: People, prefix: str) -> str:
    with people.database.read() as session:
        return session.execute(select(ApiKey.id).where(ApiKey.prefix == prefix)).scalar_one()


def assert_audited(people: People, request_id: str, role: Role | None) -> None:
    with people.database.read() as session:
        rows = session.execute(select(AuditEvent).where(AuditEvent.request_id == request_id)).scalars().all()
    assert rows
    assert {(entry.role, entry.owner, entry.address) for entry in rows} == {(role, MINE, "testclient")}


READS = [entry for entry, case in MATRIX.items() if case.theirs == case.status]


@pytest.mark.parametrize("entry", READS)
def test_a_foreign_id_is_answered_like_an_unknown_one(people: People, entry: str) -> None:
    """Even with the ETag of the file, and as a stream of events."""
    case, (method, path) = MATRIX[entry], entry.split(" ")
    client = people.client()
    foreign = {**people.rows(THEIRS, status=case.job), "name": "student.onnx"}
    unknown = {name: f"{name}_0" for name in foreign} | {"name": "student.onnx"}
    texts = []
    for names in (foreign, unknown):
        headers = {"If-None-Match": "*", "Accept": "text/event-stream", "X-Request-Id": "same"}
        body = case.body or {}
        sent = {"content": body.get("content")} if "headers" in body else {"json": case.body}
        headers |= body.get("headers", {})
        answer = client.request(method, filled(path + case.query, names), headers=headers, **sent)
        text = answer.text
        for name, value in names.items():
            text = text.replace(value, f"<{name}>")
        texts.append((answer.status_code, text, sorted(set(answer.headers) - {"content-length"})))
    assert texts[0] == texts[1]
    assert texts[0][0] == 404


@pytest.mark.parametrize("kind", ["teachers", "datasets", "jobs", "models", "webhooks", "uploads"])
def test_lists_show_what_is_one_s_own(people: People, kind: str) -> None:
    mine, theirs = people.rows(MINE), people.rows(THEIRS)
    name = "model" if kind == "models" else f"{kind[:-1]}_id"

    def seen(role: Role, query: str = "") -> set[str]:
        return {entry["id"] for entry in people.client(role).get(f"/v1/{kind}{query}").json()["items"]}

    assert mine[name] in seen(Role.VIEWER)
    assert theirs[name] not in seen(Role.VIEWER)
    assert {mine[name], theirs[name]} <= seen(Role.OPERATOR)
    if kind == "jobs":
        assert seen(Role.SUBMITTER, f"?owner={THEIRS}") == set()
        assert theirs[name] in seen(Role.OPERATOR, f"?owner={THEIRS}")


@pytest.mark.parametrize("part", ["dataset", "teacher", "model"])
def test_a_spec_names_what_is_one_s_own(people: People, part: str) -> None:
    mine, theirs = people.rows(MINE), people.rows(THEIRS)

    def spec(names: dict[str, str]) -> dict[str, Any]:
        teacher = {"teacher": {"id": names["teacher_id"]}, "model": {"model_id": names["model"]}}.get(part)
        dataset = {"id": (names if part == "dataset" else mine)["dataset_id"]}
        method = {"name": "kd"} if teacher else {"name": "plain"}
        return {"student": {"architecture": "resnet8"}, "dataset": dataset, "teacher": teacher, "method": method}

    client, unknown = people.client(), {name: f"{name}_0" for name in theirs}
    answers = [client.post("/v1/jobs", json=spec(names)) for names in (theirs, unknown)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert answers[0].json()["code"].endswith("_unknown")
    plan = client.post("/v1/jobs?validate_only=true", json=spec(theirs)).json()
    assert (plan["valid"], plan["problems"][0]["code"]) == (False, answers[0].json()["code"])


def test_scopes_narrow_what_a_role_may(people: People) -> None:
    client = people.client(Role.SUBMITTER, scopes=("jobs:read",))
    job = people.rows(MINE)["job_id"]
    assert client.get(f"/v1/jobs/{job}").status_code == 200
    assert client.get("/v1/me").json()["scopes"] == ["jobs:read"]
    for answer in (client.post(f"/v1/jobs/{job}/cancel"), client.get("/v1/models")):
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_several_keys_share_an_owner(people: People) -> None:
    first, second = people.client(), people.client()
    dataset = people.rows(MINE)["dataset_id"]
    job = first.post("/v1/jobs", json=filled(JOB, {"dataset_id": dataset})).json()
    assert job["owner"] == MINE
    assert second.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
