"""Refusals are problem documents that name the field and say what to do."""

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
        ({"student": {"architecture": "resnet8", "options": {"shortcut": "x"}}}, "/student/options/shortcut", "options_invalid"),
        ({"dataset": None}, "/dataset", "model_attributes_type"),
        ({"method": {"name": "dlkd", "temperature": -1}, "teacher": {"id": "t"}}, "/method/temperature", "greater_than"),
        ({"method": {"name": "magic"}}, "/method", "union_tag_invalid"),
        ({"method": {"name": "plain", "a/b~c": 1}}, "/method/a~1b~0c", "extra_forbidden"),
        ({"training": {"epochs": 0}}, "/training/epochs", "greater_than_equal"),
        ({"training": {"schedule": {"milestones": [0.5, 2]}}}, "/training/schedule/milestones/1", "less_than"),
        ({"export": ["onnx", "coreml"]}, "/export/1", "literal_error"),
        ({"teacher": {"id": "a", "model_id": "b"}}, "/teacher", "one_of"),
        ({"method": {"name": "kd"}}, "/teacher", "teacher_required"),
        ({"method": {"name": "plain"}, "teacher": {"id": "t"}}, "/teacher", "teacher_unused"),
        ({"colour": "red"}, "/colour", "extra_forbidden"),
    ],
)
def test_a_bad_field_is_named_by_a_pointer(client: TestClient, change: dict[str, Any], pointer: str, code: str) -> None:
    answer = client.post("/v1/jobs", json=JOB | change)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "request_invalid"
    assert (pointer, code) in [(entry["pointer"], entry["code"]) for entry in problem["errors"]]
    assert pointer in problem["detail"]


def test_an_unknown_name_comes_with_the_near_ones(client: TestClient) -> None:
    problem = client.post("/v1/jobs", json=JOB | {"student": {"architecture": "resnet21"}}).json()
    assert "resnet20" in problem["hint"]


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff", b"null"])
def test_a_body_that_is_no_job_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"request_invalid", "bad_request"}


def test_a_bad_parameter_is_named(client: TestClient) -> None:
    answer = client.get("/v1/jobs", params={"status": "sleeping"})
    assert answer.status_code == 422
    assert [entry["parameter"] for entry in answer.json()["errors"]] == ["status"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/teachers", "/v1/datasets", "/v1/models"])
def test_a_made_up_cursor_is_refused(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"cursor": "ÿ"})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")
    assert answer.json()["errors"][0]["parameter"] == "cursor"


@pytest.mark.parametrize("path", ["/v1/jobs/x", "/v1/teachers/x", "/v1/datasets/x", "/v1/models/x", "/v1/models/x/files/y"])
def test_what_is_not_there_is_404(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    answer = client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: TestClient) -> None:
    answer = client.delete("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_a_failure_of_the_server_tells_nothing_but_where_to_look(app: FastAPI, key: str) -> None:
    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get("/v1/broken", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "secret" not in answer.text
