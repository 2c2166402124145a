"""The estimated student size in a job plan."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.fake_worker import CHECKPOINT, FakeWorker


def plan_job(client: TestClient, spec: dict[str, Any]) -> Any:
    response = client.post("/v1/jobs?validate_only=true", json=spec)
    assert response.status_code == 200
    return response.json()


def test_a_plan_has_the_size_of_the_student(client: TestClient, spec: dict[str, Any]) -> None:
    estimate = plan_job(client, spec)["estimate"]
    # RepDistiller's resnet8 without its classifier has 77,392 parameters. A classifier for two
    # classes adds 65 * 2.
    assert estimate["parameters"] == 77_392 + 65 * 2
    assert estimate["weight_bytes"] == 4 * estimate["parameters"]
    assert (estimate["exact"], estimate["teacher_parameters"], estimate["compression"]) == (
        True,
        None,
        None,
    )


def test_a_plan_has_the_compression_relative_to_the_teacher(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any]
) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("teacher.pt", CHECKPOINT)}).json()["id"]
    worker.check_teacher()
    estimate = plan_job(client, {**spec, "teacher": {"id": teacher}})["estimate"]
    assert estimate["teacher_parameters"] == 272_474
    assert estimate["compression"] == pytest.approx(272_474 / estimate["parameters"])


def test_a_wider_student_is_larger(client: TestClient, spec: dict[str, Any]) -> None:
    wide_student = {**spec, "student": {"architecture": "resnet8", "options": {"width": 2}}}
    assert (
        plan_job(client, wide_student)["estimate"]["parameters"]
        > 3 * plan_job(client, spec)["estimate"]["parameters"]
    )


def test_an_unknown_size_is_not_guessed(client: TestClient, spec: dict[str, Any]) -> None:
    unknown_student = {**spec, "student": {"architecture": "wrn", "options": {"depth": 16}}}
    plan = plan_job(client, unknown_student)
    assert (plan["valid"], plan["estimate"]) == (True, None)


def test_a_rejected_request_has_no_estimate(client: TestClient, spec: dict[str, Any]) -> None:
    plan = plan_job(client, {**spec, "dataset": {"id": "dataset_0"}})
    assert (plan["valid"], plan["estimate"]) == (False, None)
