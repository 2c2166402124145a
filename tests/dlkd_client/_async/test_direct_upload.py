"""Direct uploads of large files to the S3 store, with uploads to the service as the fallback."""

import asyncio
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from dlkd_client import retries
from dlkd_client._async.api_client import AsyncClient
from dlkd_client.client import Client
from dlkd_client.errors import ProblemError, ServiceUnreachable
from registry.storage.object_store import Store
from tests.api.fake_worker import CHECKPOINT
from tests.support.backends import bucket, s3

__all__ = ["bucket", "s3"]

CONTENT = CHECKPOINT + bytes(range(256)) * 100
PART = 3000


@pytest.fixture
def store(bucket: Store) -> Store:
    return bucket


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for color in ("_sync", "_async"):
        monkeypatch.setattr(f"dlkd_client.{color}.direct_upload.PART_BYTES", PART)
        for module in ("resumable_upload", "inputs_api"):
            monkeypatch.setattr(f"dlkd_client.{color}.{module}.CHUNK_BYTES", 4000)
    monkeypatch.setattr(retries, "_BASE_DELAY_SECONDS", 0.001)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "big.th"
    path.write_bytes(CONTENT)
    return path


class CountingTransport(httpx.HTTPTransport):
    """Transport that counts the bytes sent to the service.

    It loses the response to the first request whose path ends with `lose_response_of`.
    """

    def __init__(self, *, lose_response_of: str = "") -> None:
        super().__init__()
        self.sent = 0
        self.lose_response_of = lose_response_of

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += len(request.read())
        response = super().handle_request(request)
        if self.lose_response_of and request.url.path.endswith(self.lose_response_of):
            self.lose_response_of = ""
            response.read()
            raise httpx.ReadError("response lost")
        return response


class FailingStoreTransport(httpx.HTTPTransport):
    """Transport to the store that fails for some parts.

    `failures` maps the offset of each such part to the number of times its upload fails. A
    failure is a response with `status`, or a connection error if `status` is None.
    """

    def __init__(
        self, *, failures: dict[int, int] | None = None, status: int | None = None
    ) -> None:
        super().__init__()
        self.failures = failures or {}
        self.status = status
        self.offsets: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        offset = int(request.url.path.rpartition("/")[2])
        if self.failures.get(offset, 0) > 0:
            self.failures[offset] -= 1
            if self.status is not None:
                return httpx.Response(self.status)
            raise httpx.ConnectError("connection refused")
        self.offsets.append(offset)
        return super().handle_request(request)


ALL_OFFSETS = list(range(0, len(CONTENT), PART))


def test_a_direct_upload_sends_no_part_through_the_service(
    url: str, key: str, checkpoint: Path
) -> None:
    service, store = CountingTransport(), FailingStoreTransport()
    progress: list[tuple[int, int]] = []
    with Client(url, key, transport=service, store_transport=store) as client:
        teacher = client.upload_teacher(
            checkpoint, name="big", on_bytes=lambda done, size: progress.append((done, size))
        )
    assert (teacher.sha256, teacher.size, teacher.name) == (
        sha256(CONTENT).hexdigest(),
        len(CONTENT),
        "big",
    )
    assert sorted(store.offsets) == ALL_OFFSETS
    assert service.sent < PART
    assert progress == [(done, len(CONTENT)) for done in (0, 4 * PART, 8 * PART, len(CONTENT))]


def test_the_async_client_uploads_directly(url: str, key: str, checkpoint: Path) -> None:
    class Counting(httpx.AsyncHTTPTransport):
        puts = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            Counting.puts += 1
            return await super().handle_async_request(request)

    async def upload() -> str | None:
        async with AsyncClient(url, key, store_transport=Counting()) as client:
            return (await client.upload_teacher(checkpoint)).sha256

    assert asyncio.run(upload()) == sha256(CONTENT).hexdigest()
    assert len(ALL_OFFSETS) == Counting.puts


@pytest.mark.parametrize("status", [None, 503, 500])
def test_a_failed_part_is_sent_again(
    url: str, key: str, checkpoint: Path, status: int | None
) -> None:
    service, store = (
        CountingTransport(lose_response_of="/complete"),
        FailingStoreTransport(failures={0: 1, 5 * PART: 2}, status=status),
    )
    with Client(url, key, transport=service, store_transport=store) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert sorted(store.offsets) == ALL_OFFSETS
    assert service.sent < PART


class StoppingTransport(httpx.HTTPTransport):
    """Transport that fails after the service has been asked for the first signed URLs."""

    signed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.signed:
            raise httpx.ConnectError("connection refused")
        self.signed = request.url.path.endswith("/urls")
        return super().handle_request(request)


def test_a_later_upload_sends_only_missing_parts(url: str, key: str, checkpoint: Path) -> None:
    with (
        Client(
            url, key, transport=StoppingTransport(), store_transport=FailingStoreTransport()
        ) as client,
        pytest.raises(ServiceUnreachable),
    ):
        client.upload_teacher(checkpoint)
    service, store = CountingTransport(), FailingStoreTransport()
    with Client(url, key, transport=service, store_transport=store) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert sorted(store.offsets) == ALL_OFFSETS[4:]


@pytest.mark.parametrize("status", [None, 403, 503])
def test_an_unreachable_store_falls_back_to_the_service(
    url: str, key: str, checkpoint: Path, status: int | None
) -> None:
    service = CountingTransport()
    with Client(
        url,
        key,
        transport=service,
        store_transport=FailingStoreTransport(
            failures=dict.fromkeys(ALL_OFFSETS[2:], 99), status=status
        ),
    ) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
    assert service.sent > len(CONTENT)


def test_a_file_corrupted_in_transit_is_refused(url: str, key: str, checkpoint: Path) -> None:
    class CorruptingTransport(FailingStoreTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            noise = httpx.Request(request.method, request.url, content=bytes(len(request.read())))
            return super().handle_request(noise)

    with (
        Client(url, key, store_transport=CorruptingTransport()) as client,
        pytest.raises(ProblemError) as caught,
    ):
        client.upload_teacher(checkpoint)
    assert caught.value.code == "upload_corrupt"
    with Client(url, key) as client:
        assert client.upload_teacher(checkpoint).sha256 == sha256(CONTENT).hexdigest()
