"""What happens to a job, as pages and as it happens."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.routes import events
from tests.api.conftest import FakeWorker

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def job(client: TestClient, spec: dict[str, Any]) -> str:
    return str(client.post("/v1/jobs", json=spec).json()["id"])


def told(text: str) -> list[dict[str, str]]:
    """The fields of each event of a stream; comments are left out."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    fields = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [event for event in fields if "data" in event]


def test_events_come_in_pages_with_a_cursor_to_go_on_from(client: TestClient, worker: FakeWorker, job: str) -> None:
    worker.train(worker.claim("train"))
    first = client.get(f"/v1/jobs/{job}/events", params={"limit": 2}).json()
    assert [(event["id"], event["type"]) for event in first["items"]] == [(1, "status"), (2, "status")]
    rest = client.get(f"/v1/jobs/{job}/events", params={"after": first["cursor"]}).json()
    assert [event["id"] for event in rest["items"]] == list(range(3, 3 + len(rest["items"])))
    assert rest["items"][-1]["data"]["to"] == "succeeded"
    assert client.get(f"/v1/jobs/{job}/events", params={"after": rest["cursor"]}).json() == {
        "items": [],
        "cursor": rest["cursor"],
    }


def test_a_stream_tells_everything_and_ends_with_the_job(client: TestClient, worker: FakeWorker, job: str) -> None:
    worker.train(worker.claim("train"))
    answer = client.get(f"/v1/jobs/{job}/events", headers=STREAM)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    stream = told(answer.text)
    assert [int(event["id"]) for event in stream] == list(range(1, len(stream) + 1))
    assert '"to":"succeeded"' in stream[-1]["data"]
    assert {event["event"] for event in stream} == {"status", "phase"}


def test_a_stream_goes_on_after_the_last_event_that_was_seen(client: TestClient, worker: FakeWorker, job: str) -> None:
    worker.train(worker.claim("train"))
    assert told(client.get(f"/v1/jobs/{job}/events", headers=STREAM | {"Last-Event-ID": "2"}).text)[0]["id"] == "3"


def test_a_client_that_has_seen_the_end_is_told_not_to_come_again(client: TestClient, worker: FakeWorker, job: str) -> None:
    worker.train(worker.claim("train"))
    last = client.get(f"/v1/jobs/{job}/events").json()["cursor"]
    assert client.get(f"/v1/jobs/{job}/events", headers=STREAM | {"Last-Event-ID": last}).status_code == 204


def test_a_stream_of_a_job_that_goes_on_is_closed_after_a_while(
    client: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS", 0.2)
    assert [event["id"] for event in told(client.get(f"/v1/jobs/{job}/events", headers=STREAM).text)] == ["1"]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "²"])
def test_a_made_up_cursor_is_refused(client: TestClient, job: str, cursor: str) -> None:
    answer = client.get(f"/v1/jobs/{job}/events", params={"after": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


def test_a_job_that_is_not_there_has_no_events(client: TestClient) -> None:
    assert client.get("/v1/jobs/job_none/events").status_code == 404
    assert client.get("/v1/jobs/job_none/events", headers=STREAM).status_code == 404
