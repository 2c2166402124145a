"""Job events, as paginated lists and as an event stream."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.routes import job_events
from tests.api.fake_worker import FakeWorker

STREAM_HEADERS = {"Accept": "text/event-stream"}


@pytest.fixture
def job(client: TestClient, spec: dict[str, Any]) -> str:
    return str(client.post("/v1/jobs", json=spec).json()["id"])


def parse_events(text: str) -> list[dict[str, str]]:
    """Parse an event stream. Return the fields of each event and skip comments."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    fields = [
        dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks
    ]
    return [event for event in fields if "data" in event]


def test_events_are_paged_with_a_cursor(client: TestClient, worker: FakeWorker, job: str) -> None:
    worker.finish_training(worker.claim("train"))
    first = client.get(f"/v1/jobs/{job}/events", params={"limit": 2}).json()
    assert [(event["id"], event["type"]) for event in first["items"]] == [
        (1, "status"),
        (2, "status"),
    ]
    second = client.get(f"/v1/jobs/{job}/events", params={"after": first["cursor"]}).json()
    assert [event["id"] for event in second["items"]] == list(range(3, 3 + len(second["items"])))
    assert second["items"][-1]["data"]["to"] == "succeeded"
    assert client.get(f"/v1/jobs/{job}/events", params={"after": second["cursor"]}).json() == {
        "items": [],
        "cursor": second["cursor"],
    }


def test_a_stream_has_all_events_and_ends_with_the_job(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    worker.finish_training(worker.claim("train"))
    response = client.get(f"/v1/jobs/{job}/events", headers=STREAM_HEADERS)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    stream = parse_events(response.text)
    assert [int(event["id"]) for event in stream] == list(range(1, len(stream) + 1))
    assert '"to":"succeeded"' in stream[-1]["data"]
    assert {event["event"] for event in stream} == {"status", "phase"}


def test_a_stream_continues_after_the_last_event_id(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    worker.finish_training(worker.claim("train"))
    assert (
        parse_events(
            client.get(
                f"/v1/jobs/{job}/events", headers=STREAM_HEADERS | {"Last-Event-ID": "2"}
            ).text
        )[0]["id"]
        == "3"
    )


def test_a_client_that_has_seen_the_last_event_is_told_not_to_reconnect(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    worker.finish_training(worker.claim("train"))
    last_event_id = client.get(f"/v1/jobs/{job}/events").json()["cursor"]
    assert (
        client.get(
            f"/v1/jobs/{job}/events", headers=STREAM_HEADERS | {"Last-Event-ID": last_event_id}
        ).status_code
        == 204
    )


def test_the_stream_of_a_running_job_is_closed_after_a_while(
    client: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_events, "STREAM_SECONDS", 0.2)
    assert [
        event["id"]
        for event in parse_events(client.get(f"/v1/jobs/{job}/events", headers=STREAM_HEADERS).text)
    ] == ["1"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "²"])
def test_an_invalid_cursor_is_rejected(client: TestClient, job: str, cursor: str) -> None:
    response = client.get(f"/v1/jobs/{job}/events", params={"after": cursor})
    assert (response.status_code, response.json()["code"]) == (422, "cursor_invalid")


def test_an_unknown_job_has_no_events(client: TestClient) -> None:
    assert client.get("/v1/jobs/job_none/events").status_code == 404
    assert client.get("/v1/jobs/job_none/events", headers=STREAM_HEADERS).status_code == 404
