"""The Python client, tested with a real server."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest

from dlkd_client.client import Client
from dlkd_client.errors import (
    DownloadCorrupt,
    NotReady,
    ProblemError,
    ServiceUnreachable,
    WaitTimeout,
)
from dlkd_client.responses import Dataset, Job, Model
from registry.attempts import claims
from tests.api.fake_worker import CHECKPOINT, FakeWorker

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
    upload = client.upload_dataset(path, name="pets")
    worker.check_dataset()
    return client.wait_until_ready(upload)


@pytest.fixture
def job(client: Client, dataset: Dataset) -> Job:
    return client.submit({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})


@pytest.fixture
def model(client: Client, worker: FakeWorker, job: Job) -> Model:
    assert job.status == "queued"
    return client.model(worker.finish_training(worker.claim("train"), CONTENT))


def test_a_checked_upload_is_ready(client: Client, worker: FakeWorker, checkpoint: Path) -> None:
    normalization = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    upload = client.upload_teacher(
        checkpoint, name="big", architecture="resnet20", num_classes=2, normalization=normalization
    )
    assert (upload.status, upload.name, upload.sha256) == (
        "validating",
        "big",
        sha256(CHECKPOINT).hexdigest(),
    )
    worker.check_teacher()
    ready = client.wait_until_ready(upload)
    assert (ready.status, ready.parameters, ready.format) == ("ready", 272_474, "torch")
    assert [teacher.id for teacher in client.teachers()] == [upload.id]


def test_a_rejected_upload_raises_with_the_reason(
    client: Client, worker: FakeWorker, checkpoint: Path
) -> None:
    upload = client.upload_teacher(checkpoint)
    worker.fail_check(
        {
            "code": "keys_do_not_fit",
            "message": "conv1.weight is missing.",
            "hint": "Send another.",
            "retryable": False,
        }
    )
    with pytest.raises(NotReady, match=r"conv1\.weight is missing\. Send another\.") as caught:
        client.wait_until_ready(upload)
    assert caught.value.code == "keys_do_not_fit"


def test_waiting_for_a_check_times_out(client: Client, checkpoint: Path) -> None:
    with pytest.raises(WaitTimeout, match="Is a worker running"):
        client.wait_until_ready(client.upload_teacher(checkpoint), timeout=0, poll_seconds=0.01)


def test_a_refusal_carries_code_hint_and_fields(client: Client, dataset: Dataset) -> None:
    with pytest.raises(ProblemError) as caught:
        client.submit({"student": {"architecture": "resnet21"}, "dataset": {"id": dataset.id}})
    problem = caught.value
    assert (problem.status, problem.code) == (422, "request_invalid")
    assert [(field["pointer"], field["code"]) for field in problem.errors] == [
        ("/student/architecture", "unknown_choice")
    ]
    assert "resnet20" in problem.hint
    assert "resnet21" in str(problem)
    assert problem.request_id is not None


def test_a_wrong_key_is_refused(url: str) -> None:
    with (
        Client(url, "dlkd_00000000_wrong") as client,
        pytest.raises(ProblemError, match="not valid") as caught,
    ):
        next(client.jobs())
    assert caught.value.status == 401


def test_an_unreachable_service_raises_a_readable_error() -> None:
    with (
        Client("http://127.0.0.1:9", "key") as client,
        pytest.raises(ServiceUnreachable, match="Is the service running"),
    ):
        client.catalog()


def test_a_job_submitted_twice_with_one_idempotency_key_is_one_job(
    client: Client, dataset: Dataset
) -> None:
    spec = {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}}
    jobs = [client.submit(spec, idempotency_key="k") for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert [job.id for job in client.jobs()] == [jobs[0].id]


def test_waiting_reports_progress_and_returns_the_finished_job(
    client: Client, worker: FakeWorker, job: Job
) -> None:
    statuses: list[str] = []
    timer = Timer(0.2, lambda: worker.finish_training(worker.claim("train")))
    timer.start()
    finished = client.wait(
        job.id, on_progress=lambda now: statuses.append(now.status), poll_seconds=0.02
    )
    timer.join()
    assert (statuses[0], statuses[-1], finished.status, finished.is_finished) == (
        "queued",
        "succeeded",
        "succeeded",
        True,
    )
    assert client.model(finished.model_id or "").job_id == job.id


def test_waiting_for_a_job_can_be_limited(client: Client, job: Job) -> None:
    with pytest.raises(WaitTimeout, match="still queued"):
        client.wait(job.id, timeout=0, poll_seconds=0.01)


def test_a_job_can_be_cancelled_and_lists_filtered(client: Client, job: Job) -> None:
    assert client.cancel(job.id).status == "cancelled"
    assert [found.id for found in client.jobs(status="cancelled")] == [job.id]
    assert list(client.jobs(status="running")) == []


def test_a_job_is_paused_resumed_retried_changed_and_cloned(
    client: Client, worker: FakeWorker, dataset: Dataset, job: Job
) -> None:
    assert client.pause(job.id).status == "paused"
    assert client.resume(job.id).status == "queued"
    assert client.cancel(job.id, force=True).status == "cancelled"
    assert client.retry(job.id, from_start=True).status == "queued"
    changed = client.update_job(job.id, name="second", labels={"team": "vision"}, priority=3)
    assert (changed.name, changed.labels, changed.priority) == ("second", {"team": "vision"}, 3)
    clone = client.clone(job.id, {"training": {"epochs": 3}})
    assert (clone.cloned_from, clone.spec["training"]["epochs"]) == (job.id, 3)
    assert [found.id for found in client.jobs(label=["team:vision"], status=["queued"])] == [
        clone.id,
        job.id,
    ]
    assert client.plan({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset.id}})[
        "valid"
    ]
    assert worker.claim("train").job_id == job.id
    assert [attempt["status"] for attempt in client.attempts(job.id)] == ["running"]
    client.cancel(clone.id)
    client.delete_job(clone.id)
    assert [found.id for found in client.jobs()] == [job.id]


def test_a_log_is_read_whole_or_from_its_end(client: Client, worker: FakeWorker, job: Job) -> None:
    claim, lines = worker.claim("train"), [f"line {number}" for number in range(2500)]
    with worker.database.write() as session:
        claims.record_update(session, claim, claims.AttemptUpdate(log_lines=lines))
    assert list(client.logs(job.id)) == lines
    assert list(client.logs(job.id, tail=2)) == lines[-2:]
    assert list(client.logs(job.id, attempt=2)) == []


def test_all_events_and_metrics_are_returned(client: Client, model: Model) -> None:
    events = list(client.events(model.job_id))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["to"] == "succeeded"
    assert len(client.metrics(model.job_id, max_points=10)["series"]["val/top1"]) <= 10


def test_a_list_continues_over_all_pages(
    client: Client, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.db.pagination.MAX_LIMIT", 2)
    ids = [client.upload_teacher(checkpoint).id for _ in range(5)]
    assert [teacher.id for teacher in client.teachers()] == ids[::-1]


def test_a_download_is_verified_and_moved_into_place(
    client: Client, model: Model, tmp_path: Path
) -> None:
    path = client.download(model, "student.onnx", tmp_path)
    assert path == tmp_path / "student.onnx"
    assert path.read_bytes() == CONTENT
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(KeyError, match=r"student\.onnx"):
        client.download(model.id, "student.pt", tmp_path)


class InterruptingTransport(httpx.HTTPTransport):
    """Transport that breaks the connection of each download after a given number of bytes.

    `after` contains one number per download. The last number also applies to later downloads.
    """

    def __init__(self, *after: int) -> None:
        super().__init__()
        self.after = after
        self.ranges: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if "/files/" in request.url.path:
            self.ranges.append(request.headers.get("range"))
            response.stream = TruncatedStream(
                response.stream, self.after[min(len(self.ranges), len(self.after)) - 1]
            )
        return response


class TruncatedStream(httpx.SyncByteStream):
    def __init__(self, stream: Any, after: int) -> None:
        self.stream = stream
        self.left = after

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            yield chunk[: self.left]
            self.left -= len(chunk)
            if self.left <= 0:
                raise httpx.ReadError("connection lost")

    def close(self) -> None:
        self.stream.close()


def test_a_download_resumes_where_it_was_interrupted(
    url: str, key: str, model: Model, tmp_path: Path
) -> None:
    transport = InterruptingTransport(400_000)
    with Client(url, key, transport=transport) as client:
        path = client.download(model, "student.onnx", tmp_path)
    assert path.read_bytes() == CONTENT
    assert transport.ranges == [None, "bytes=400000-", "bytes=800000-"]


def test_a_failed_download_keeps_the_partial_file(
    url: str, key: str, model: Model, tmp_path: Path
) -> None:
    with (
        Client(url, key, transport=InterruptingTransport(1000, 0)) as client,
        pytest.raises(ServiceUnreachable, match="failed repeatedly"),
    ):
        client.download(model, "student.onnx", tmp_path)
    assert [path.stat().st_size for path in tmp_path.glob("student*")] == [1000]
    with Client(url, key) as client:
        assert client.download(model, "student.onnx", tmp_path).read_bytes() == CONTENT


def test_a_partial_file_of_another_download_is_detected(
    client: Client, model: Model, tmp_path: Path
) -> None:
    (tmp_path / "student.onnx.part").write_bytes(b"another file")
    with pytest.raises(DownloadCorrupt, match="sha256"):
        client.download(model, "student.onnx", tmp_path)
    assert list(tmp_path.glob("student*")) == []
