"""Middleware for authentication, body limits, host names, request ids and the access log."""

import io
import json
import logging
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry.observability.logging_setup import configure_logging
from registry.settings import Settings
from tests.api.asgi_client import call_app

PUBLIC_PATHS = {"/", "/login", "/docs", "/livez", "/readyz", "/openapi.json"}


def list_operations(app: FastAPI) -> list[tuple[str, str]]:
    """Return the method and path of every operation in the OpenAPI document."""
    return [
        (method, path) for path, methods in app.openapi()["paths"].items() for method in methods
    ]


def test_every_route_requires_a_key(app: FastAPI, anonymous_client: TestClient) -> None:
    protected = [
        (method, path) for method, path in list_operations(app) if path not in PUBLIC_PATHS
    ]
    responses = {
        (method, path): anonymous_client.request(method, path.replace("{", "").replace("}", ""))
        for method, path in protected
    }
    assert len(protected) >= 15
    assert {response.status_code for response in responses.values()} == {401}
    assert {response.json()["code"] for response in responses.values()} == {"key_invalid"}
    assert {response.headers["WWW-Authenticate"] for response in responses.values()} == {"Bearer"}


@pytest.mark.parametrize("path", ["/v1", "/v1/no-such-thing", "/v1/models/x/files/y"])
def test_paths_that_do_not_exist_require_a_key_too(anonymous_client: TestClient, path: str) -> None:
    assert anonymous_client.get(path).status_code == 401
    assert anonymous_client.head(path).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dlkd_x_y", "Bearer dlkd_00000000_wrong", "Bearer \xff"],
)
def test_invalid_keys_are_rejected(anonymous_client: TestClient, header: str) -> None:
    response = anonymous_client.get("/v1/jobs", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert (response.status_code, response.json()["code"]) == (401, "key_invalid")


@pytest.mark.parametrize("path", sorted(PUBLIC_PATHS))
def test_public_paths_need_no_key(anonymous_client: TestClient, path: str) -> None:
    assert anonymous_client.get(path).status_code != 401


def test_the_body_of_an_unauthenticated_request_is_not_read(app: FastAPI) -> None:
    chunks: list[bytes] = []

    async def receive() -> dict[str, Any]:
        chunks.append(b"x")
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert (
        call_app(
            app,
            "POST",
            "/v1/teachers",
            [(b"content-type", b"multipart/form-data; boundary=x")],
            receive,
        )
        == 401
    )
    assert chunks == []


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/teachers"])
def test_a_body_with_too_large_a_content_length_is_rejected_unread(
    client: TestClient, path: str
) -> None:
    response = client.post(
        path,
        content=b"{}",
        headers={"Content-Length": str(2**40), "Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_body_that_turns_out_too_large_is_rejected(client: TestClient) -> None:
    response = client.post(
        "/v1/jobs",
        content=(b" " * 2**16 for _ in range(32)),
        headers={"Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", ""])
def test_other_host_names_are_rejected(client: TestClient, host: str) -> None:
    response = client.get("/livez", headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (400, "host_unknown")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8000", "[::1]:8000"])
def test_its_own_host_names_are_accepted(client: TestClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code == 200


def test_the_request_id_is_in_the_response_the_problem_and_the_log(
    app: FastAPI, client: TestClient, log_stream: io.StringIO
) -> None:
    @app.get("/logging")
    def log() -> None:
        logging.getLogger("registry.jobs.job_queue").warning("from a pool thread")

    configure_logging(Settings(log_format="json"), log_stream)
    response = client.get("/v1/jobs/job_none", headers={"X-Request-Id": "mine-42"})
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "mine-42"
    client.get("/logging", headers={"X-Request-Id": "mine-43"})
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    request_lines = [
        line for line in lines if line["logger"] in {"api.access", "registry.jobs.job_queue"}
    ]
    assert [line["request_id"] for line in request_lines] == ["mine-42", "mine-43", "mine-43"]
    assert {name: request_lines[0][name] for name in ("event", "method", "path", "status")} == {
        "event": "request",
        "method": "GET",
        "path": "/v1/jobs/job_none",
        "status": 404,
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_key_is_never_in_the_log(
    app: FastAPI, key: str, log_stream: io.StringIO, form: Literal["json", "console"]
) -> None:
    @app.get("/broken/{what}")
    def broken(what: str) -> None:
        raise RuntimeError(f"cannot take {what}")

    configure_logging(Settings(log_format=form, log_level="DEBUG"), log_stream)
    secret = key.split("_", 2)[2]  # the secret may contain underscores
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        client.get(f"/v1/jobs/{key}?key={key}", headers={"Authorization": f"Bearer {key}"})
        assert client.get(f"/broken/{key}").status_code == 500
    assert "RuntimeError: cannot take dlkd_" in log_stream.getvalue()
    assert secret not in log_stream.getvalue()


def test_a_request_id_that_could_forge_log_lines_is_replaced(client: TestClient) -> None:
    assert (
        client.get("/livez", headers={"X-Request-Id": "a b\tc"})
        .headers["X-Request-Id"]
        .startswith("req_")
    )
