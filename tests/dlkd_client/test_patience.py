"""What the client does when the line or the service is not at its best."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dlkd_client import retries
from dlkd_client.answers import Dataset
from dlkd_client.client import AsyncClient, Client
from dlkd_client.errors import ProblemError, Unreachable
from registry import claims
from registry.lifecycle import JobStatus
from tests.api.conftest import FakeWorker

Mishap = Callable[[httpx.Request], httpx.Response] | None


def broken(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def refusing(status: int, **headers: str) -> Mishap:
    return lambda _request: httpx.Response(status, headers=headers, json={"code": "busy", "detail": "Not now."})


class Moody(httpx.HTTPTransport):
    """The real line after these mishaps; `lost` ones happen after the service has done its work."""

    def __init__(self, *mishaps: Mishap, lost: int = 0) -> None:
        super().__init__()
        self.mishaps = deque(mishaps)
        self.lost = lost
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.mishaps and (mishap := self.mishaps.popleft()) is not None:
            return mishap(request)
        answer = super().handle_request(request)
        if self.lost:
            self.lost -= 1
            answer.read()
            raise httpx.ReadError("the answer was lost")
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pauses between tries."""
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.001)


@pytest.fixture
def dataset(client: Client, worker: FakeWorker, archive: bytes, tmp_path: Path) -> Dataset:
    path = tmp_path / "pets.zip"
    path.write_bytes(archive)
    sent = client.upload_dataset(path, name="pets")
    worker.check_dataset()
    return client.ready(sent)


def spec(dataset: Dataset) -> dict[str, Any]:
    return {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}}


def test_a_passing_refusal_is_waited_out(url: str, key: str) -> None:
    line = Moody(broken, refusing(503), refusing(429, **{"Retry-After": "0"}))
    with Client(url, key, transport=line) as client:
        assert list(client.jobs()) == []
    assert len(line.seen) == 4


def test_patience_ends_with_the_refusal(url: str, key: str) -> None:
    with (
        Client(url, key, transport=Moody(*[refusing(503)] * 4)) as client,
        pytest.raises(ProblemError, match="Not now") as caught,
    ):
        client.catalog()
    assert (caught.value.status, caught.value.code) == (503, "busy")


def test_other_refusals_are_final(url: str, key: str) -> None:
    line = Moody(refusing(409))
    with Client(url, key, transport=line) as client, pytest.raises(ProblemError):
        client.catalog()
    assert len(line.seen) == 1


def test_a_job_whose_answer_was_lost_is_submitted_once(url: str, key: str, dataset: Dataset) -> None:
    line = Moody(lost=2)
    with Client(url, key, transport=line) as client:
        job = client.submit(spec(dataset))
        assert [found.id for found in client.jobs()] == [job.id]
    assert len({request.headers["Idempotency-Key"] for request in line.seen[:3]}) == 1


@pytest.mark.parametrize(("tries", "least", "most"), [(1, 0.5, 1), (3, 2, 4), (20, 4, 8)])
def test_pauses_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch, tries: int, least: float, most: float) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 1.0)
    assert least <= retries.pause(tries) <= most


def test_the_service_says_how_long_to_wait() -> None:
    assert retries.pause(1, httpx.Response(429, headers={"Retry-After": "7"})) == 7


class Cut(httpx.SyncByteStream):
    """Breaks off after so many server-sent events."""

    def __init__(self, stream: Any, after: int) -> None:
        self.stream = stream
        self.left = after

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            yield chunk
            self.left -= chunk.count(b"data:")
            if self.left <= 0:
                raise httpx.ReadError("the line is dead")

    def close(self) -> None:
        self.stream.close()


class Stuttering(httpx.HTTPTransport):
    """Lets one event through and breaks off."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.url.path.endswith("/events"):
            self.after.append(request.headers.get("Last-Event-ID"))
            answer.stream = Cut(answer.stream, 1)
        return answer


def test_events_are_followed_to_the_end_over_a_line_that_breaks(
    url: str, key: str, client: Client, worker: FakeWorker, dataset: Dataset
) -> None:
    job = client.submit(spec(dataset))
    worker.train(worker.claim("train"))
    line = Stuttering()
    with Client(url, key, transport=line) as broken_off:
        followed = list(broken_off.events(job.id, follow=True))
    assert followed == list(client.events(job.id))
    assert [event.id for event in followed] == list(range(1, len(followed) + 1))
    assert line.after[:3] == [None, "1", "2"]


def test_events_of_a_job_that_nobody_knows_are_a_refusal(client: Client) -> None:
    with pytest.raises(ProblemError, match="no job"):
        next(client.events("job_none", follow=True))


def test_nobody_there_is_said_after_a_few_tries() -> None:
    with Client("http://127.0.0.1:9", "key") as client, pytest.raises(Unreachable, match="Is the service up"):
        next(client.events("job_1", follow=True))


def test_the_awaited_client_does_the_same(url: str, key: str, worker: FakeWorker, archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(archive)

    async def story() -> list[Path]:
        async with AsyncClient(url, key) as client:
            sent = await client.upload_dataset(tmp_path / "pets.zip")
            worker.check_dataset()
            job = await client.submit(spec(await client.ready(sent)))
            worker.train(worker.claim("train"), b"weights")
            job = await job.wait(progress=False)
            assert [event.data["to"] async for event in job.events(follow=True) if event.type == "status"][
                -1
            ] == JobStatus.SUCCEEDED
            assert [found.id async for found in client.jobs()] == [job.id]
            model = await job.model()
            assert (await model.job()).id == job.id
            return await model.download(tmp_path / "out")

    (path,) = asyncio.run(story())
    assert path.read_bytes() == b"weights"


def test_a_job_answers_for_itself(client: Client, worker: FakeWorker, dataset: Dataset, tmp_path: Path) -> None:
    job = client.submit(spec(dataset))
    with pytest.raises(Exception, match=r"is queued; wait\(\) for it"):
        job.model()
    assert [job.pause().status, job.resume().status, job.cancel().status, job.retry().status] == [
        "paused",
        "queued",
        "cancelled",
        "queued",
    ]
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record(session, claim, claims.News(lines=["one", "two"]))
    worker.train(claim, b"weights")
    model = job.wait(progress=False).model()
    assert list(job.logs(tail=1)) == ["two"]
    assert "val/top1" in job.metrics()["series"]
    assert [path.read_bytes() for path in model.download(tmp_path / "out", ["student.onnx"])] == [b"weights"]
    assert job.clone({"name": "again"}).refresh().name == "again"
