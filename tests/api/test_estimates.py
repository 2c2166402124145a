"""What a student will measure, told before it is trained."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import CHECKPOINT, FakeWorker


def planned(client: TestClient, spec: dict[str, Any]) -> Any:
    answer = client.post("/v1/jobs?validate_only=true", json=spec)
    assert answer.status_code == 200
    return answer.json()


def test_a_students_size_is_known_before_it_is_made(client: TestClient, spec: dict[str, Any]) -> None:
    found = planned(client, spec)["estimate"]
    assert found["parameters"] == 77_392 + 65 * 2  # RepDistiller's resnet8 without its classifier, and two classes
    assert found["weight_bytes"] == 4 * found["parameters"]
    assert (found["exact"], found["teacher_parameters"], found["compression"]) == (True, None, None)


def test_beside_its_teacher(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("teacher.pt", CHECKPOINT)}).json()["id"]
    worker.check_teacher()
    found = planned(client, {**spec, "teacher": {"id": teacher}})["estimate"]
    assert found["teacher_parameters"] == 272_474
    assert found["compression"] == pytest.approx(272_474 / found["parameters"])


def test_a_wider_student_is_larger(client: TestClient, spec: dict[str, Any]) -> None:
    wide = {**spec, "student": {"architecture": "resnet8", "options": {"width": 2}}}
    assert planned(client, wide)["estimate"]["parameters"] > 3 * planned(client, spec)["estimate"]["parameters"]


def test_what_was_not_counted_is_not_guessed(client: TestClient, spec: dict[str, Any]) -> None:
    odd = {**spec, "student": {"architecture": "wrn", "options": {"depth": 16}}}
    plan = planned(client, odd)
    assert (plan["valid"], plan["estimate"]) == (True, None)


def test_a_refused_request_has_no_estimate(client: TestClient, spec: dict[str, Any]) -> None:
    plan = planned(client, {**spec, "dataset": {"id": "dataset_0"}})
    assert (plan["valid"], plan["estimate"]) == (False, None)
