"""The Python client against a real server."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest

from dlkd_client.answers import Dataset, Job, Model
from dlkd_client.client import Client
from dlkd_client.errors import DownloadCorrupt, NotReady, ProblemError, Unreachable, WaitedTooLong
from registry import claims
from tests.api.conftest import CHECKPOINT, FakeWorker

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "big.th"
    path.write_bytes(CHECKPOINT)
    return path


@pytest.fixture
def dataset(client: Client, worker: FakeWorker, archive: bytes, tmp_path: Path) -> Dataset:
    path = tmp_path / "pets.zip"
    path.write_bytes(archive)
    sent = client.upload_dataset(path, name="pets")
    worker.check_dataset()
    return client.ready(sent)


@pytest.fixture
def job(client: Client, dataset: Dataset) -> Job:
    return client.submit({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})


@pytest.fixture
def model(client: Client, worker: FakeWorker, job: Job) -> Model:
    assert job.status == "queued"
    return client.model(worker.train(worker.claim("train"), CONTENT))


def test_a_checked_upload_is_ready(client: Client, worker: FakeWorker, checkpoint: Path) -> None:
    normalization = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    sent = client.upload_teacher(checkpoint, name="big", architecture="resnet20", num_classes=2, normalization=normalization)
    assert (sent.status, sent.name, sent.sha256) == ("validating", "big", sha256(CHECKPOINT).hexdigest())
    worker.check_teacher()
    ready = client.ready(sent)
    assert (ready.status, ready.parameters, ready.format) == ("ready", 272_474, "torch")
    assert [teacher.id for teacher in client.teachers()] == [sent.id]


def test_an_unfit_upload_raises_with_the_reason(client: Client, worker: FakeWorker, checkpoint: Path) -> None:
    sent = client.upload_teacher(checkpoint)
    worker.refuse({"code": "keys_do_not_fit", "message": "conv1.weight is missing.", "hint": "Send another.", "retryable": False})
    with pytest.raises(NotReady, match=r"conv1\.weight is missing\. Send another\.") as caught:
        client.ready(sent)
    assert caught.value.code == "keys_do_not_fit"


def test_waiting_for_a_check_ends_some_time(client: Client, checkpoint: Path) -> None:
    with pytest.raises(WaitedTooLong, match="Is a worker running"):
        client.ready(client.upload_teacher(checkpoint), timeout=0, poll=0.01)


def test_a_refusal_carries_code_hint_and_fields(client: Client, dataset: Dataset) -> None:
    with pytest.raises(ProblemError) as caught:
        client.submit({"student": {"architecture": "resnet21"}, "dataset": {"id": dataset.id}})
    problem = caught.value
    assert (problem.status, problem.code) == (422, "request_invalid")
    assert [(field["pointer"], field["code"]) for field in problem.errors] == [("/student/architecture", "unknown_choice")]
    assert "resnet20" in problem.hint
    assert "resnet21" in str(problem)
    assert problem.request_id is not None


def test_a_wrong_key_is_a_refusal(url: str) -> None:
    with Client(url, "dlkd_00000000_wrong") as stranger, pytest.raises(ProblemError, match="not a key") as caught:
        next(stranger.jobs())
    assert caught.value.status == 401


def test_nobody_there_is_said_in_words() -> None:
    with Client("http://127.0.0.1:9", "key") as client, pytest.raises(Unreachable, match="Is the service up"):
        client.catalog()


def test_a_job_sent_twice_with_one_key_is_one(client: Client, dataset: Dataset) -> None:
    spec = {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}}
    twice = [client.submit(spec, idempotency_key="k") for _ in range(2)]
    assert twice[0] == twice[1]
    assert [job.id for job in client.jobs()] == [twice[0].id]


def test_waiting_shows_progress_and_returns_the_end(client: Client, worker: FakeWorker, job: Job) -> None:
    seen: list[str] = []
    timer = Timer(0.2, lambda: worker.train(worker.claim("train")))
    timer.start()
    ended = client.wait(job.id, on_progress=lambda now: seen.append(now.status), poll=0.02)
    timer.join()
    assert (seen[0], seen[-1], ended.status, ended.ended) == ("queued", "succeeded", "succeeded", True)
    assert client.model(ended.model_id or "").job_id == job.id


def test_waiting_for_a_job_can_be_limited(client: Client, job: Job) -> None:
    with pytest.raises(WaitedTooLong, match="still queued"):
        client.wait(job.id, timeout=0, poll=0.01)


def test_a_job_can_be_cancelled_and_lists_filtered(client: Client, job: Job) -> None:
    assert client.cancel(job.id).status == "cancelled"
    assert [found.id for found in client.jobs(status="cancelled")] == [job.id]
    assert list(client.jobs(status="running")) == []


def test_a_job_is_held_taken_up_again_and_made_once_more(client: Client, worker: FakeWorker, dataset: Dataset, job: Job) -> None:
    assert client.pause(job.id).status == "paused"
    assert client.resume(job.id).status == "queued"
    assert client.cancel(job.id, force=True).status == "cancelled"
    assert client.retry(job.id, from_start=True).status == "queued"
    changed = client.change(job.id, name="second", labels={"team": "vision"}, priority=3)
    assert (changed.name, changed.labels, changed.priority) == ("second", {"team": "vision"}, 3)
    clone = client.clone(job.id, {"training": {"epochs": 3}})
    assert (clone.cloned_from, clone.spec["training"]["epochs"]) == (job.id, 3)
    assert [found.id for found in client.jobs(label=["team:vision"], status=["queued"])] == [clone.id, job.id]
    assert client.plan({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})["valid"]
    assert worker.claim("train").job_id == job.id
    assert [attempt["status"] for attempt in client.attempts(job.id)] == ["running"]
    client.cancel(clone.id)
    client.delete_job(clone.id)
    assert [found.id for found in client.jobs()] == [job.id]


def test_a_log_comes_whole_or_from_its_end(client: Client, worker: FakeWorker, job: Job) -> None:
    claim, lines = worker.claim("train"), [f"line {number}" for number in range(2500)]
    with worker.database.write() as session:
        claims.record(session, claim, claims.News(lines=lines))
    assert list(client.logs(job.id)) == lines
    assert list(client.logs(job.id, tail=2)) == lines[-2:]
    assert list(client.logs(job.id, attempt=2)) == []


def test_events_and_metrics_come_whole(client: Client, model: Model) -> None:
    events = list(client.events(model.job_id))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["to"] == "succeeded"
    assert len(client.metrics(model.job_id, max_points=10)["series"]["val/top1"]) <= 10


def test_a_list_is_followed_over_all_pages(client: Client, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.paging.MAX_LIMIT", 2)
    ids = [client.upload_teacher(checkpoint).id for _ in range(5)]
    assert [teacher.id for teacher in client.teachers()] == ids[::-1]


def test_a_download_is_checked_and_put_in_place(client: Client, model: Model, tmp_path: Path) -> None:
    path = client.download(model, "student.onnx", tmp_path)
    assert path == tmp_path / "student.onnx"
    assert path.read_bytes() == CONTENT
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(KeyError, match=r"student\.onnx"):
        client.download(model.id, "student.pt", tmp_path)


class Breaking(httpx.HTTPTransport):
    """Breaks each file off after so many bytes, as a bad line does; the last number stands for all that follow."""

    def __init__(self, *after: int) -> None:
        super().__init__()
        self.after = after
        self.ranges: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if "/files/" in request.url.path:
            self.ranges.append(request.headers.get("range"))
            answer.stream = Cut(answer.stream, self.after[min(len(self.ranges), len(self.after)) - 1])
        return answer


class Cut(httpx.SyncByteStream):
    def __init__(self, stream: Any, after: int) -> None:
        self.stream = stream
        self.left = after

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            yield chunk[: self.left]
            self.left -= len(chunk)
            if self.left <= 0:
                raise httpx.ReadError("the line is dead")

    def close(self) -> None:
        self.stream.close()


def test_a_download_goes_on_where_it_broke_off(url: str, key: str, model: Model, tmp_path: Path) -> None:
    line = Breaking(400_000)
    with Client(url, key, transport=line) as client:
        path = client.download(model, "student.onnx", tmp_path)
    assert path.read_bytes() == CONTENT
    assert line.ranges == [None, "bytes=400000-", "bytes=800000-"]


def test_a_download_that_never_gets_through_keeps_what_came(url: str, key: str, model: Model, tmp_path: Path) -> None:
    with Client(url, key, transport=Breaking(1000, 0)) as client, pytest.raises(Unreachable, match="broke off"):
        client.download(model, "student.onnx", tmp_path)
    assert [path.stat().st_size for path in tmp_path.glob("student*")] == [1000]
    with Client(url, key) as client:
        assert client.download(model, "student.onnx", tmp_path).read_bytes() == CONTENT


def test_what_lies_there_from_another_file_is_found_out(client: Client, model: Model, tmp_path: Path) -> None:
    (tmp_path / "student.onnx.part").write_bytes(b"of another file")
    with pytest.raises(DownloadCorrupt, match="sha256"):
        client.download(model, "student.onnx", tmp_path)
    assert list(tmp_path.glob("student*")) == []
