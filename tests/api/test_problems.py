"""Error responses: problem documents that name the invalid field and say what to do."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

JOB: dict[str, Any] = {"student": {"architecture": "resnet8"}, "dataset": {"id": "dataset_none"}}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"student": {"architecture": "resnet21"}}, "/student/architecture", "unknown_choice"),
        ({"student": {}}, "/student/architecture", "missing"),
        (
            {"student": {"architecture": "resnet8", "options": {"shortcut": "x"}}},
            "/student/options/shortcut",
            "options_invalid",
        ),
        ({"dataset": None}, "/dataset", "model_attributes_type"),
        (
            {"method": {"name": "dlkd", "temperature": -1}, "teacher": {"id": "t"}},
            "/method/temperature",
            "greater_than",
        ),
        ({"method": {"name": "magic"}}, "/method", "union_tag_invalid"),
        ({"method": {"name": "plain", "a/b~c": 1}}, "/method/a~1b~0c", "extra_forbidden"),
        ({"training": {"epochs": 0}}, "/training/epochs", "greater_than_equal"),
        (
            {"training": {"schedule": {"milestones": [0.5, 2]}}},
            "/training/schedule/milestones/1",
            "less_than",
        ),
        ({"export": ["onnx", "coreml"]}, "/export/1", "literal_error"),
        ({"teacher": {"id": "a", "model_id": "b"}}, "/teacher", "one_of"),
        ({"method": {"name": "kd"}}, "/teacher", "teacher_required"),
        ({"method": {"name": "plain"}, "teacher": {"id": "t"}}, "/teacher", "teacher_unused"),
        (
            {"student": {"architecture": "resnet8", "init": "teacher"}},
            "/student/init",
            "teacher_required",
        ),
        (
            {
                "student": {"architecture": "resnet18", "init": "teacher", "pretrained": True},
                "teacher": {"id": "t"},
            },
            "/student/init",
            "init_ambiguous",
        ),
        (
            {"method": {"name": "plain"}, "teacher": None, "baseline": True},
            "/baseline",
            "baseline_unused",
        ),
        (
            {"method": {"name": "seed"}, "teacher": {"id": "t"}, "baseline": True},
            "/baseline",
            "baseline_unsupported",
        ),
        ({"colour": "red"}, "/colour", "extra_forbidden"),
    ],
)
def test_an_invalid_field_is_named_by_a_pointer(
    client: TestClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    response = client.post("/v1/jobs", json=JOB | change)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "request_invalid"
    assert (pointer, code) in [(entry["pointer"], entry["code"]) for entry in problem["errors"]]
    assert pointer in problem["detail"]


def test_an_unknown_name_gets_similar_names_as_a_hint(client: TestClient) -> None:
    problem = client.post("/v1/jobs", json=JOB | {"student": {"architecture": "resnet21"}}).json()
    assert "resnet20" in problem["hint"]


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff", b"null"])
def test_a_body_that_is_not_a_job_is_rejected(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert response.json()["code"] in {"request_invalid", "bad_request"}


def test_an_invalid_parameter_is_named(client: TestClient) -> None:
    response = client.get("/v1/jobs", params={"status": "sleeping"})
    assert response.status_code == 422
    assert [entry["parameter"] for entry in response.json()["errors"]] == ["status"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/teachers", "/v1/datasets", "/v1/models"])
def test_an_invalid_cursor_is_rejected(client: TestClient, path: str) -> None:
    response = client.get(path, params={"cursor": "ÿ"})
    assert (response.status_code, response.json()["code"]) == (422, "cursor_invalid")
    assert response.json()["errors"][0]["parameter"] == "cursor"


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/x", "/v1/teachers/x", "/v1/datasets/x", "/v1/models/x", "/v1/models/x/files/y"],
)
def test_an_unknown_id_is_not_found(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    response = client.get("/v1/nothing")
    assert (response.status_code, response.json()["code"]) == (404, "no_such_path")


def test_an_unsupported_method_is_a_problem_that_lists_the_allowed_ones(client: TestClient) -> None:
    response = client.delete("/v1/jobs")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, POST"


def test_an_internal_error_reveals_only_its_request_id(app: FastAPI, key: str) -> None:
    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("an internal secret")

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        response = client.get("/v1/broken", headers={"Authorization": f"Bearer {key}"})
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert response.headers["X-Request-Id"] == response.json()["request_id"]
    assert "secret" not in response.text
