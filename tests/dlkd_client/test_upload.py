"""Large files go in verified pieces, and go on where they broke off."""

from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from dlkd_client import retries
from dlkd_client.client import Client
from dlkd_client.errors import ProblemError, Unreachable
from tests.api.conftest import CHECKPOINT

CONTENT = CHECKPOINT + bytes(range(256)) * 100
PIECE = 4000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlkd_client._sync.upload.PIECE", PIECE)
    monkeypatch.setattr("dlkd_client._sync.inputs.PIECE", PIECE)
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.001)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "big.th"
    path.write_bytes(CONTENT)
    return path


class Line(httpx.HTTPTransport):
    """Notes the offset of each piece; those with these numbers are lost, or arrive with their answer lost."""

    def __init__(self, *, lost: tuple[int, ...] = (), unanswered: tuple[int, ...] = (), dead_from: int | None = None) -> None:
        super().__init__()
        self.lost, self.unanswered, self.dead_from = lost, unanswered, dead_from
        self.offsets: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH":
            return super().handle_request(request)
        self.offsets.append(int(request.headers["Upload-Offset"]))
        number = len(self.offsets)
        if number in self.lost or (self.dead_from is not None and number >= self.dead_from):
            raise httpx.WriteError("the line is dead")
        answer = super().handle_request(request)
        if number in self.unanswered:
            answer.read()
            raise httpx.ReadError("the answer was lost")
        return answer


def test_a_large_file_arrives_in_pieces(client: Client, checkpoint: Path) -> None:
    seen: list[tuple[int, int]] = []
    teacher = client.upload_teacher(
        checkpoint, name="big", architecture="resnet20", on_bytes=lambda done, size: seen.append((done, size))
    )
    assert (teacher.sha256, teacher.size, teacher.name) == (sha256(CONTENT).hexdigest(), len(CONTENT), "big")
    assert seen == [(min(PIECE * n, len(CONTENT)), len(CONTENT)) for n in range(len(CONTENT) // PIECE + 2)]


def test_what_was_lost_is_sent_again_and_nothing_else(url: str, key: str, checkpoint: Path) -> None:
    line = Line(lost=(2, 4), unanswered=(3,))
    with Client(url, key, transport=line) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert line.offsets[:6] == [0, 4000, 4000, 8000, 8000, 12000]


def test_a_later_process_goes_on(url: str, key: str, checkpoint: Path) -> None:
    with Client(url, key, transport=Line(dead_from=3)) as client, pytest.raises(Unreachable, match="8000 bytes are there"):
        client.upload_teacher(checkpoint)
    line = Line()
    with Client(url, key, transport=line) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
        assert line.offsets[0] == 8000
        client.upload_teacher(checkpoint)  # complete: nothing is left to go on with
    assert line.offsets.count(0) == 1


def test_an_upload_that_the_service_forgot_begins_again(url: str, key: str, checkpoint: Path, tmp_path: Path) -> None:
    with Client(url, key, transport=Line(dead_from=2)) as client, pytest.raises(Unreachable):
        client.upload_teacher(checkpoint)
    (entry,) = (tmp_path / "xdg_cache_home" / "dlkd" / "uploads").iterdir()
    with Client(url, key) as client:
        client.http.delete(entry.read_text(), headers={"Tus-Resumable": "1.0.0"}).raise_for_status()
    line = Line()
    with Client(url, key, transport=line) as client:
        assert client.upload_teacher(checkpoint).size == len(CONTENT)
    assert line.offsets[0] == 0
    assert not entry.exists()


def test_bytes_that_fell_over_on_the_way_are_sent_again(url: str, key: str, checkpoint: Path) -> None:
    class Noisy(Line):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH" and len(self.offsets) == 1:
                noise = httpx.Request(request.method, request.url, headers=request.headers, content=bytes(PIECE))
                return super().handle_request(noise)
            return super().handle_request(request)

    line = Noisy()
    with Client(url, key, transport=line) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert line.offsets[:4] == [0, 4000, 4000, 8000]


def test_a_file_that_the_service_does_not_want_is_refused_with_its_words(client: Client, tmp_path: Path) -> None:
    (tmp_path / "huge.th").write_bytes(bytes(5 * 2**20))
    with pytest.raises(ProblemError) as caught:
        client.upload_teacher(tmp_path / "huge.th")
    assert caught.value.code == "upload_too_large"
