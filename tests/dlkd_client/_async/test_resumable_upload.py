"""Resumable uploads of large files in verified chunks."""

from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from dlkd_client import retries
from dlkd_client.client import Client
from dlkd_client.errors import ProblemError, ServiceUnreachable
from tests.api.fake_worker import CHECKPOINT

CONTENT = CHECKPOINT + bytes(range(256)) * 100
CHUNK_BYTES = 4000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlkd_client._sync.resumable_upload.CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr("dlkd_client._sync.inputs_api.CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr(retries, "_BASE_DELAY_SECONDS", 0.001)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "big.th"
    path.write_bytes(CONTENT)
    return path


class LossyTransport(httpx.HTTPTransport):
    """Transport that records the offset of each chunk and loses some chunks and responses.

    `lost` and `lost_responses` contain chunk numbers. All chunks from `failing_from` on are lost.
    """

    def __init__(
        self,
        *,
        lost: tuple[int, ...] = (),
        lost_responses: tuple[int, ...] = (),
        failing_from: int | None = None,
    ) -> None:
        super().__init__()
        self.lost, self.lost_responses, self.failing_from = lost, lost_responses, failing_from
        self.offsets: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH":
            return super().handle_request(request)
        self.offsets.append(int(request.headers["Upload-Offset"]))
        number = len(self.offsets)
        if number in self.lost or (self.failing_from is not None and number >= self.failing_from):
            raise httpx.WriteError("connection lost")
        response = super().handle_request(request)
        if number in self.lost_responses:
            response.read()
            raise httpx.ReadError("response lost")
        return response


def test_a_large_file_is_sent_in_chunks(client: Client, checkpoint: Path) -> None:
    progress: list[tuple[int, int]] = []
    teacher = client.upload_teacher(
        checkpoint,
        name="big",
        architecture="resnet20",
        on_bytes=lambda done, size: progress.append((done, size)),
    )
    assert (teacher.sha256, teacher.size, teacher.name) == (
        sha256(CONTENT).hexdigest(),
        len(CONTENT),
        "big",
    )
    assert progress == [
        (min(CHUNK_BYTES * n, len(CONTENT)), len(CONTENT))
        for n in range(len(CONTENT) // CHUNK_BYTES + 2)
    ]


def test_only_lost_chunks_are_sent_again(url: str, key: str, checkpoint: Path) -> None:
    transport = LossyTransport(lost=(2, 4), lost_responses=(3,))
    with Client(url, key, transport=transport) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert transport.offsets[:6] == [0, 4000, 4000, 8000, 8000, 12000]


def test_a_later_upload_resumes(url: str, key: str, checkpoint: Path) -> None:
    with (
        Client(url, key, transport=LossyTransport(failing_from=3)) as client,
        pytest.raises(ServiceUnreachable, match="8000 bytes were sent"),
    ):
        client.upload_teacher(checkpoint)
    transport = LossyTransport()
    with Client(url, key, transport=transport) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
        assert transport.offsets[0] == 8000
        client.upload_teacher(checkpoint)  # new, as the first upload is complete
    assert transport.offsets.count(0) == 1


def test_an_upload_that_the_service_deleted_starts_again(
    url: str, key: str, checkpoint: Path, tmp_path: Path
) -> None:
    with (
        Client(url, key, transport=LossyTransport(failing_from=2)) as client,
        pytest.raises(ServiceUnreachable),
    ):
        client.upload_teacher(checkpoint)
    (entry,) = (tmp_path / "xdg_cache_home" / "dlkd" / "uploads").iterdir()
    with Client(url, key) as client:
        client.http.delete(entry.read_text(), headers={"Tus-Resumable": "1.0.0"}).raise_for_status()
    transport = LossyTransport()
    with Client(url, key, transport=transport) as client:
        assert client.upload_teacher(checkpoint).size == len(CONTENT)
    assert transport.offsets[0] == 0
    assert not entry.exists()


def test_a_corrupted_chunk_is_sent_again(url: str, key: str, checkpoint: Path) -> None:
    class CorruptingTransport(LossyTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH" and len(self.offsets) == 1:
                noise = httpx.Request(
                    request.method, request.url, headers=request.headers, content=bytes(CHUNK_BYTES)
                )
                return super().handle_request(noise)
            return super().handle_request(request)

    transport = CorruptingTransport()
    with Client(url, key, transport=transport) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert transport.offsets[:4] == [0, 4000, 4000, 8000]


def test_a_file_that_the_service_refuses_raises_its_problem(client: Client, tmp_path: Path) -> None:
    (tmp_path / "huge.th").write_bytes(bytes(5 * 2**20))
    with pytest.raises(ProblemError) as caught:
        client.upload_teacher(tmp_path / "huge.th")
    assert caught.value.code == "upload_too_large"
