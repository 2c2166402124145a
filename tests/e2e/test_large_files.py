"""Tests that transfers of large files survive interruptions and use little memory.

The tests upload a model bundle of two gigabytes with tus, import it, and download the weights with
range requests. Along the way, connections break and the API process is killed.
"""

import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import httpx
import pytest

from dlkd_client._sync.resumable_upload import upload_file
from dlkd_client.client import Client
from dlkd_core.reporting.bundle_documents import render_documents
from registry.access import api_keys
from registry.db.database import Database
from registry.db.schema_migrations import upgrade
from tests.api.bundle_builder import REPORT
from tests.api.tus_client import CHUNK_HEADERS, TUS_HEADERS, create_upload
from tests.support.backends import s3

__all__ = ["s3"]
MIB = 2**20
SIZE = int(os.environ.get("DLKD_TEST_LARGE_BYTES", str(2**31)))
# The S3 server of the tests keeps all files in memory, so this size is smaller.
_S3_SIZE = 128 * MIB
_MAX_MEMORY = 200 * 10**6
_RANDOM_MIB = os.urandom(MIB)


def generate_noise(size: int) -> Iterator[bytes]:
    """Yield `size` bytes in chunks. Every chunk is different."""
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + _RANDOM_MIB[8:]
    yield _RANDOM_MIB[: size % MIB]


class LargeWeights:
    """The large file in the bundle, with the attributes of its manifest entry."""

    name, format, top1, latency_ms = "student.safetensors", "safetensors", 0.5, 1.5

    def __init__(self, size: int) -> None:
        self.size, digest = size, sha256()
        for chunk in generate_noise(size):
            digest.update(chunk)
        self.sha256 = digest.hexdigest()


def write_bundle(path: Path, weights: LargeWeights) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in render_documents(REPORT, [weights], "large").items():
            archive.writestr(name, text)
        with archive.open(weights.name, "w", force_zip64=True) as member:
            for chunk in generate_noise(weights.size):
                member.write(chunk)
    return path


class ApiProcess:
    """An API process that can be killed and restarted on the same socket."""

    def __init__(self, data: Path, environment: dict[str, str]) -> None:
        data.mkdir()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
        self._environment = {
            **clean,
            "DLKD_DATA": str(data),
            "DLKD_LOG_LEVEL": "WARNING",
            **environment,
        }
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._log = (data / "api.log").open("ab")
        upgrade(f"sqlite:///{data}/dlkd.db")
        database = Database(f"sqlite:///{data}/dlkd.db")
        with database.write() as session:
            self.key = api_keys.create(session, name="test")[1]
        database.close()
        self._process: subprocess.Popen[bytes] | None = None
        self.memory_peaks: list[int] = []

    def start(self) -> None:
        descriptor = self._listener.fileno()
        environment = {**self._environment, "DLKD_SOCKET": str(descriptor)}
        command = [sys.executable, "-m", "api"]
        self._process = subprocess.Popen(
            command, env=environment, pass_fds=[descriptor], stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        assert self._process is not None
        self.memory_peaks.append(self.peak_memory())
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._listener.close()
        self._log.close()

    def peak_memory(self) -> int:
        """Return the peak memory of the process in bytes."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def run_api(data: Path, environment: dict[str, str]) -> Iterator[ApiProcess]:
    if not Path("/proc/self/status").exists():
        pytest.skip("requires /proc to read the peak memory of a process")
    api = ApiProcess(data, environment)
    try:
        api.start()
        yield api
    finally:
        api.close()


@pytest.fixture
def local_api(tmp_path: Path) -> Iterator[ApiProcess]:
    free = shutil.disk_usage(tmp_path).free
    if free < 4 * SIZE:
        pytest.skip(f"requires {4 * SIZE} bytes of disk space, but only {free} are free")
    yield from run_api(tmp_path / "data", {})
    shutil.rmtree(tmp_path)  # pytest would keep the folder until the fourth run


@pytest.fixture
def s3_api(tmp_path: Path, s3: str) -> Iterator[ApiProcess]:
    store = {
        "DLKD_STORE_URL": "s3://students/large",
        "AWS_ENDPOINT_URL": s3,
        "AWS_ALLOW_HTTP": "true",
    }
    access = {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    yield from run_api(tmp_path / "data", {**store, **access})


def make_client(api: ApiProcess) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{api.port}",
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=120,
        trust_env=False,
    )


def send_partial_patch(
    api: ApiProcess, path: str, file: IO[bytes], start: int, end: int, *, content_length: int
) -> HTTPConnection:
    """Start a PATCH request and send only the file's bytes from `start` to `end`."""
    connection = HTTPConnection("127.0.0.1", api.port, timeout=120)
    connection.putrequest("PATCH", path)
    headers = {
        **CHUNK_HEADERS,
        "Authorization": f"Bearer {api.key}",
        "Upload-Offset": str(start),
        "Content-Length": str(content_length),
    }
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    file.seek(start)
    while start < end:
        chunk = file.read(min(MIB, end - start))
        connection.send(chunk)
        start += len(chunk)
    return connection


def upload_offset(client: httpx.Client, path: str) -> int:
    return int(client.head(path, headers=TUS_HEADERS).headers["Upload-Offset"])


def wait_for_resumable_offset(client: httpx.Client, path: str, *, minimum: int) -> int:
    """Wait until an interrupted upload can be resumed. Return the offset for the next request."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        offset = upload_offset(client, path)
        headers = {**CHUNK_HEADERS, "Upload-Offset": str(offset)}
        response = client.patch(path, headers=headers, content=b"")
        if response.status_code == 204 and offset > minimum:
            return offset
        sleep(0.2)
    raise AssertionError(f"the upload cannot be resumed: {response.text}")


def upload_with_interruptions(api: ApiProcess, client: httpx.Client, bundle: Path) -> str:
    """Upload a file in three requests and return the id of the upload.

    The client interrupts the first request. The API process is killed during the second request.
    """
    size = bundle.stat().st_size
    path = create_upload(client, size, filename="large.zip")
    with bundle.open("rb") as file:
        send_partial_patch(api, path, file, 0, size // 3, content_length=size).close()
        first = wait_for_resumable_offset(client, path, minimum=0)
        assert first <= size // 3
        with suppress(OSError):
            connection = send_partial_patch(
                api, path, file, first, 2 * size // 3, content_length=size - first
            )
            api.kill()
            connection.close()
        api.start()
        second = wait_for_resumable_offset(client, path, minimum=first)
        assert second <= 2 * size // 3
        connection = send_partial_patch(api, path, file, second, size, content_length=size - second)
        assert connection.getresponse().status == 204
        connection.close()
    assert upload_offset(client, path) == size
    return path.rpartition("/")[2]


def download_with_interruptions(api: ApiProcess, client: httpx.Client, url: str, size: int) -> str:
    """Download a file in three requests and return its SHA-256 digest.

    The client interrupts the first request. The API process is killed during the second request.
    """
    digest, received, etag = sha256(), 0, ""
    for until in (size // 3, 2 * size // 3, size):
        headers = {"Range": f"bytes={received}-", **({"If-Range": etag} if etag else {})}
        with client.stream("GET", url, headers=headers, follow_redirects=True) as response:
            assert response.status_code == 206
            etag = response.headers["ETag"]
            for chunk in response.iter_raw():
                digest.update(chunk)
                received += len(chunk)
                if received >= until < size:
                    break
            if size // 3 < until < size:
                api.kill()
                api.start()
    return digest.hexdigest()


def check_round_trip(api: ApiProcess, bundle: Path, weights: LargeWeights) -> None:
    with make_client(api) as client:
        upload_id = upload_with_interruptions(api, client, bundle)
        bundle.unlink()
        response = client.post("/v1/models/import", json={"upload_id": upload_id})
        assert response.status_code == 201, response.text
        (file,) = response.json()["files"]
        assert (file["size"], file["sha256"]) == (weights.size, weights.sha256)
        assert download_with_interruptions(api, client, file["url"], weights.size) == weights.sha256
        api.kill()
    assert max(api.memory_peaks) < _MAX_MEMORY, api.memory_peaks
    peaks = [peak // 10**6 for peak in api.memory_peaks]
    print(f"{weights.size} bytes, peak memory of the API processes: {peaks} MB")  # noqa: T201 - shown by pytest -s


@pytest.mark.timeout(600)
def test_large_model_survives_upload_and_download(local_api: ApiProcess, tmp_path: Path) -> None:
    weights = LargeWeights(SIZE)
    check_round_trip(local_api, write_bundle(tmp_path / "large.zip", weights), weights)


@pytest.mark.timeout(600)
def test_large_model_survives_upload_and_download_on_s3(s3_api: ApiProcess, tmp_path: Path) -> None:
    weights = LargeWeights(_S3_SIZE)
    check_round_trip(s3_api, write_bundle(tmp_path / "large.zip", weights), weights)


def test_direct_uploads_bypass_the_service(
    s3_api: ApiProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The service reads the file once, after the upload, and never has all of it in memory.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = write_bundle(tmp_path / "large.zip", weights := LargeWeights(_S3_SIZE))
    with make_client(s3_api) as client, Client(str(client.base_url), s3_api.key) as sender:
        upload_id = upload_file(sender, file)
        model = client.post("/v1/models/import", json={"upload_id": upload_id}).json()
        assert model["files"][0]["sha256"] == weights.sha256
    assert s3_api.peak_memory() < _MAX_MEMORY
