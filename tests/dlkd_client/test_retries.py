"""Retries after connection errors and temporary error responses."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dlkd_client import retries
from dlkd_client.client import AsyncClient, Client
from dlkd_client.errors import ProblemError, ServiceUnreachable
from dlkd_client.responses import Dataset
from registry.attempts import claims
from registry.jobs.lifecycle import JobStatus
from tests.api.fake_worker import FakeWorker

Fault = Callable[[httpx.Request], httpx.Response] | None


def refuse_connection(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def respond_with(status: int, **headers: str) -> Fault:
    return lambda _request: httpx.Response(
        status, headers=headers, json={"code": "busy", "detail": "Not now."}
    )


class FaultyTransport(httpx.HTTPTransport):
    """Transport that simulates faults in the first requests.

    Each entry of `faults` is a function that responds to one request, or None to let the request
    through to the service. The first `lost` responses from the service never reach the client.
    """

    def __init__(self, *faults: Fault, lost: int = 0) -> None:
        super().__init__()
        self.faults = deque(faults)
        self.lost = lost
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults and (fault := self.faults.popleft()) is not None:
            return fault(request)
        response = super().handle_request(request)
        if self.lost:
            self.lost -= 1
            response.read()
            raise httpx.ReadError("response lost")
        return response


@pytest.fixture(autouse=True)
def no_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delays between retries to milliseconds."""
    monkeypatch.setattr(retries, "_BASE_DELAY_SECONDS", 0.001)


@pytest.fixture
def dataset(client: Client, worker: FakeWorker, archive: bytes, tmp_path: Path) -> Dataset:
    path = tmp_path / "pets.zip"
    path.write_bytes(archive)
    upload = client.upload_dataset(path, name="pets")
    worker.check_dataset()
    return client.wait_until_ready(upload)


def spec(dataset: Dataset) -> dict[str, Any]:
    return {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}}


def test_temporary_refusals_are_retried(url: str, key: str) -> None:
    transport = FaultyTransport(
        refuse_connection, respond_with(503), respond_with(429, **{"Retry-After": "0"})
    )
    with Client(url, key, transport=transport) as client:
        assert list(client.jobs()) == []
    assert len(transport.requests) == 4


def test_the_last_refusal_is_raised_when_retries_are_exhausted(url: str, key: str) -> None:
    with (
        Client(url, key, transport=FaultyTransport(*[respond_with(503)] * 4)) as client,
        pytest.raises(ProblemError, match="Not now") as caught,
    ):
        client.catalog()
    assert (caught.value.status, caught.value.code) == (503, "busy")


def test_other_refusals_are_not_retried(url: str, key: str) -> None:
    transport = FaultyTransport(respond_with(409))
    with Client(url, key, transport=transport) as client, pytest.raises(ProblemError):
        client.catalog()
    assert len(transport.requests) == 1


def test_a_job_is_submitted_once_when_responses_are_lost(
    url: str, key: str, dataset: Dataset
) -> None:
    transport = FaultyTransport(lost=2)
    with Client(url, key, transport=transport) as client:
        job = client.submit(spec(dataset))
        assert [found.id for found in client.jobs()] == [job.id]
    assert len({request.headers["Idempotency-Key"] for request in transport.requests[:3]}) == 1


@pytest.mark.parametrize(("tries", "least", "most"), [(1, 0.5, 1), (3, 2, 4), (20, 4, 8)])
def test_delays_double_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, tries: int, least: float, most: float
) -> None:
    monkeypatch.setattr(retries, "_BASE_DELAY_SECONDS", 1.0)
    assert least <= retries.retry_delay(tries) <= most


def test_retry_after_sets_the_delay() -> None:
    assert retries.retry_delay(1, httpx.Response(429, headers={"Retry-After": "7"})) == 7


class TruncatedStream(httpx.SyncByteStream):
    """Response stream that breaks the connection after a given number of server-sent events."""

    def __init__(self, stream: Any, after: int) -> None:
        self.stream = stream
        self.left = after

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            yield chunk
            self.left -= chunk.count(b"data:")
            if self.left <= 0:
                raise httpx.ReadError("connection lost")

    def close(self) -> None:
        self.stream.close()


class OneEventTransport(httpx.HTTPTransport):
    """Transport that breaks the connection after each server-sent event."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith("/events"):
            self.after.append(request.headers.get("Last-Event-ID"))
            response.stream = TruncatedStream(response.stream, 1)
        return response


def test_events_are_followed_to_the_end_over_lost_connections(
    url: str, key: str, client: Client, worker: FakeWorker, dataset: Dataset
) -> None:
    job = client.submit(spec(dataset))
    worker.finish_training(worker.claim("train"))
    transport = OneEventTransport()
    with Client(url, key, transport=transport) as interrupted:
        followed = list(interrupted.events(job.id, follow=True))
    assert followed == list(client.events(job.id))
    assert [event.id for event in followed] == list(range(1, len(followed) + 1))
    assert transport.after[:3] == [None, "1", "2"]


def test_events_of_an_unknown_job_are_refused(client: Client) -> None:
    with pytest.raises(ProblemError, match="no job"):
        next(client.events("job_none", follow=True))


def test_following_events_of_an_unreachable_service_raises_an_error() -> None:
    with (
        Client("http://127.0.0.1:9", "key") as client,
        pytest.raises(ServiceUnreachable, match="Is the service running"),
    ):
        next(client.events("job_1", follow=True))


def test_the_async_client_runs_a_whole_job(
    url: str, key: str, worker: FakeWorker, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "pets.zip").write_bytes(archive)

    async def run_job() -> list[Path]:
        async with AsyncClient(url, key) as client:
            upload = await client.upload_dataset(tmp_path / "pets.zip")
            worker.check_dataset()
            job = await client.submit(spec(await client.wait_until_ready(upload)))
            worker.finish_training(worker.claim("train"), b"weights")
            job = await job.wait(progress=False)
            assert [
                event.data["to"]
                async for event in job.events(follow=True)
                if event.type == "status"
            ][-1] == JobStatus.SUCCEEDED
            assert [found.id async for found in client.jobs()] == [job.id]
            model = await job.model()
            assert (await model.job()).id == job.id
            return await model.download(tmp_path / "out")

    (path,) = asyncio.run(run_job())
    assert path.read_bytes() == b"weights"


def test_a_job_object_controls_its_job(
    client: Client, worker: FakeWorker, dataset: Dataset, tmp_path: Path
) -> None:
    job = client.submit(spec(dataset))
    with pytest.raises(Exception, match=r"is queued\. Wait for it with wait\(\)"):
        job.model()
    assert [job.pause().status, job.resume().status, job.cancel().status, job.retry().status] == [
        "paused",
        "queued",
        "cancelled",
        "queued",
    ]
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record_update(session, claim, claims.AttemptUpdate(log_lines=["one", "two"]))
    worker.finish_training(claim, b"weights")
    model = job.wait(progress=False).model()
    assert list(job.logs(tail=1)) == ["two"]
    assert "val/top1" in job.metrics()["series"]
    assert [path.read_bytes() for path in model.download(tmp_path / "out", ["student.onnx"])] == [
        b"weights"
    ]
    assert job.clone({"name": "again"}).refresh().name == "again"
