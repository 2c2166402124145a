"""What happens to every request before a route sees it."""

import io
import json
import logging
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry.logbook import open_log
from registry.settings import Settings
from tests.api.asgi import status_of

OPEN = {"/", "/login", "/docs", "/livez", "/readyz", "/openapi.json"}


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path of the service's own description."""
    return [(method, path) for path, methods in app.openapi()["paths"].items() for method in methods]


def test_every_route_asks_for_a_key(app: FastAPI, stranger: TestClient) -> None:
    guarded = [(method, path) for method, path in operations(app) if path not in OPEN]
    answers = {(method, path): stranger.request(method, path.replace("{", "").replace("}", "")) for method, path in guarded}
    assert len(guarded) >= 15
    assert {answer.status_code for answer in answers.values()} == {401}
    assert {answer.json()["code"] for answer in answers.values()} == {"key_invalid"}
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}


@pytest.mark.parametrize("path", ["/v1", "/v1/no-such-thing", "/v1/models/x/files/y"])
def test_paths_that_do_not_exist_ask_for_a_key_too(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 401
    assert stranger.head(path).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dlkd_x_y", "Bearer dlkd_00000000_wrong", "Bearer \xff"])
def test_wrong_keys_are_refused(stranger: TestClient, header: str) -> None:
    answer = stranger.get("/v1/jobs", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid")


@pytest.mark.parametrize("path", sorted(OPEN))
def test_the_open_paths_need_no_key(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code != 401


def test_a_stranger_s_body_is_not_read(app: FastAPI) -> None:
    read: list[bytes] = []

    async def receive() -> dict[str, Any]:
        read.append(b"x")
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert status_of(app, "POST", "/v1/teachers", [(b"content-type", b"multipart/form-data; boundary=x")], receive) == 401
    assert read == []


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/teachers"])
def test_a_body_that_claims_to_be_too_large_is_refused_unread(client: TestClient, path: str) -> None:
    answer = client.post(path, content=b"{}", headers={"Content-Length": str(2**40), "Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_that_turns_out_too_large_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/jobs", content=(b" " * 2**16 for _ in range(32)), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", ""])
def test_other_host_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/livez", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (400, "host_unknown")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8000", "[::1]:8000"])
def test_its_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code == 200


def test_every_request_has_a_name_in_answer_problem_and_log(app: FastAPI, client: TestClient, log_stream: io.StringIO) -> None:
    @app.get("/asked")
    def asked() -> None:
        logging.getLogger("registry.queue").warning("from a thread of the pool")

    open_log(Settings(log_format="json"), log_stream)
    answer = client.get("/v1/jobs/job_none", headers={"X-Request-Id": "mine-42"})
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"] == "mine-42"
    client.get("/asked", headers={"X-Request-Id": "mine-43"})
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    told = [line for line in lines if line["logger"] in {"api.access", "registry.queue"}]
    assert [line["request_id"] for line in told] == ["mine-42", "mine-43", "mine-43"]
    assert {name: told[0][name] for name in ("event", "method", "path", "status")} == {
        "event": "request",
        "method": "GET",
        "path": "/v1/jobs/job_none",
        "status": 404,
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_key_is_never_in_the_log(app: FastAPI, key: str, log_stream: io.StringIO, form: Literal["json", "console"]) -> None:
    @app.get("/broken/{what}")
    def broken(what: str) -> None:
        raise RuntimeError(f"cannot take {what}")

    open_log(Settings(log_format=form, log_level="DEBUG"), log_stream)
    secret = key.split("_", 2)[2]  # which may hold that character, too
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        client.get(f"/v1/jobs/{key}?key={key}", headers={"Authorization": f"Bearer {key}"})
        assert client.get(f"/broken/{key}").status_code == 500
    assert "RuntimeError: cannot take dlkd_" in log_stream.getvalue()
    assert secret not in log_stream.getvalue()


def test_a_request_name_that_could_forge_log_lines_is_replaced(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "a b\tc"}).headers["X-Request-Id"].startswith("req_")
