"""Large files go straight to the service's S3 store, and through the service where that cannot be reached."""

import asyncio
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from dlkd_client import retries
from dlkd_client._async.client import AsyncClient
from dlkd_client.client import Client
from dlkd_client.errors import ProblemError, Unreachable
from registry.store import Store
from tests.api.conftest import CHECKPOINT
from tests.engines import bucket, s3

__all__ = ["bucket", "s3"]

CONTENT = CHECKPOINT + bytes(range(256)) * 100
PART = 3000


@pytest.fixture
def store(bucket: Store) -> Store:
    return bucket


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for colour in ("_sync", "_async"):
        monkeypatch.setattr(f"dlkd_client.{colour}.direct.PART", PART)
        for module in ("upload", "inputs"):
            monkeypatch.setattr(f"dlkd_client.{colour}.{module}.PIECE", 4000)
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.001)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "big.th"
    path.write_bytes(CONTENT)
    return path


class Api(httpx.HTTPTransport):
    """The way to the service, which counts the bytes that go there."""

    def __init__(self, *, answers_lost: str = "") -> None:
        super().__init__()
        self.sent = 0
        self.answers_lost = answers_lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += len(request.read())
        answer = super().handle_request(request)
        if self.answers_lost and request.url.path.endswith(self.answers_lost):
            self.answers_lost = ""
            answer.read()
            raise httpx.ReadError("the answer was lost")
        return answer


class S3(httpx.HTTPTransport):
    """The way to the store; it breaks before the parts that begin at these offsets, the first so many times."""

    def __init__(self, *, breaks: dict[int, int] | None = None, status: int | None = None) -> None:
        super().__init__()
        self.breaks = breaks or {}
        self.status = status
        self.offsets: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        offset = int(request.url.path.rpartition("/")[2])
        if self.breaks.get(offset, 0) > 0:
            self.breaks[offset] -= 1
            if self.status is not None:
                return httpx.Response(self.status)
            raise httpx.ConnectError("nobody there")
        self.offsets.append(offset)
        return super().handle_request(request)


EVERYWHERE = list(range(0, len(CONTENT), PART))


def test_no_byte_of_it_goes_through_the_service(url: str, key: str, checkpoint: Path) -> None:
    line, store, seen = Api(), S3(), list[tuple[int, int]]()
    with Client(url, key, transport=line, store=store) as client:
        teacher = client.upload_teacher(checkpoint, name="big", on_bytes=lambda done, size: seen.append((done, size)))
    assert (teacher.sha256, teacher.size, teacher.name) == (sha256(CONTENT).hexdigest(), len(CONTENT), "big")
    assert sorted(store.offsets) == EVERYWHERE
    assert line.sent < PART
    assert seen == [(done, len(CONTENT)) for done in (0, 4 * PART, 8 * PART, len(CONTENT))]


def test_also_awaited(url: str, key: str, checkpoint: Path) -> None:
    class Counting(httpx.AsyncHTTPTransport):
        puts = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            Counting.puts += 1
            return await super().handle_async_request(request)

    async def story() -> str | None:
        async with AsyncClient(url, key, store=Counting()) as client:
            return (await client.upload_teacher(checkpoint)).sha256

    assert asyncio.run(story()) == sha256(CONTENT).hexdigest()
    assert len(EVERYWHERE) == Counting.puts


@pytest.mark.parametrize("status", [None, 503, 500])
def test_a_part_that_broke_off_is_sent_again(url: str, key: str, checkpoint: Path, status: int | None) -> None:
    line, store = Api(answers_lost="/complete"), S3(breaks={0: 1, 5 * PART: 2}, status=status)
    with Client(url, key, transport=line, store=store) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert sorted(store.offsets) == EVERYWHERE
    assert line.sent < PART


class Gone(httpx.HTTPTransport):
    """The way to a service that is stopped in the middle: it signs the first parts, and answers nothing afterwards."""

    signed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.signed:
            raise httpx.ConnectError("nobody there")
        self.signed = request.url.path.endswith("/urls")
        return super().handle_request(request)


def test_a_later_process_sends_what_is_missing(url: str, key: str, checkpoint: Path) -> None:
    with Client(url, key, transport=Gone(), store=S3()) as client, pytest.raises(Unreachable):
        client.upload_teacher(checkpoint)
    line, store = Api(), S3()
    with Client(url, key, transport=line, store=store) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert sorted(store.offsets) == EVERYWHERE[4:]


@pytest.mark.parametrize("status", [None, 403, 503])
def test_a_store_that_cannot_be_reached_is_done_without(url: str, key: str, checkpoint: Path, status: int | None) -> None:
    line = Api()
    with Client(url, key, transport=line, store=S3(breaks=dict.fromkeys(EVERYWHERE[2:], 99), status=status)) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert line.sent > len(CONTENT)


def test_a_file_that_changed_on_its_way_is_refused(url: str, key: str, checkpoint: Path) -> None:
    class Other(S3):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            noise = httpx.Request(request.method, request.url, content=bytes(len(request.read())))
            return super().handle_request(noise)

    with Client(url, key, store=Other()) as client, pytest.raises(ProblemError) as caught:
        client.upload_teacher(checkpoint)
    assert caught.value.code == "upload_corrupt"
    with Client(url, key) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
