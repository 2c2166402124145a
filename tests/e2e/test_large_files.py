"""Two gigabytes go into the service and come out of it again, through cut connections and killed processes, past a small memory.

What holds so much here is a model in a bundle: uploaded by tus, imported, its weights downloaded by ranges.
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

from dlkd_client._sync.upload import send_file
from dlkd_client.client import Client
from dlkd_core.bundle import texts
from registry import keys
from registry.db import Database, upgrade
from tests.api.bundles import REPORT
from tests.api.tus import STREAM, TUS, begin
from tests.engines import s3

__all__ = ["s3"]
MIB = 2**20
SIZE = int(os.environ.get("DLKD_TEST_LARGE_BYTES", str(2**31)))
_ON_S3 = 128 * MIB  # the tests' own S3 keeps all in memory; held by the API, it would still show
_MEMORY = 200 * 10**6
_NOISE = os.urandom(MIB)


def noise(size: int) -> Iterator[bytes]:
    """So many bytes, no two pieces of them alike."""
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + _NOISE[8:]
    yield _NOISE[: size % MIB]


class Weights:
    """The large file of the bundle, as its manifest tells it."""

    name, format, top1, latency_ms = "student.safetensors", "safetensors", 0.5, 1.5

    def __init__(self, size: int) -> None:
        self.size, digest = size, sha256()
        for piece in noise(size):
            digest.update(piece)
        self.sha256 = digest.hexdigest()


def pack(path: Path, weights: Weights) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts(REPORT, [weights], "large").items():
            archive.writestr(name, text)
        with archive.open(weights.name, "w", force_zip64=True) as member:
            for piece in noise(weights.size):
                member.write(piece)
    return path


class Api:
    """A real API process that can be killed and started again; its socket lives on, so that clients find it at the same place."""

    def __init__(self, data: Path, environment: dict[str, str]) -> None:
        data.mkdir()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
        self._environment = {**clean, "DLKD_DATA": str(data), "DLKD_LOG_LEVEL": "WARNING", **environment}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._log = (data / "api.log").open("ab")
        upgrade(f"sqlite:///{data}/dlkd.db")
        database = Database(f"sqlite:///{data}/dlkd.db")
        with database.write() as session:
            self.key = keys.create(session, name="test")[1]
        database.close()
        self._process: subprocess.Popen[bytes] | None = None
        self.peaks: list[int] = []

    def start(self) -> None:
        number = self._listener.fileno()
        environment = {**self._environment, "DLKD_SOCKET": str(number)}
        command = [sys.executable, "-m", "api"]
        self._process = subprocess.Popen(command, env=environment, pass_fds=[number], stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        assert self._process is not None
        self.peaks.append(self.peak())
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._listener.close()
        self._log.close()

    def peak(self) -> int:
        """The most memory that the process has ever held, in bytes."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def begun(data: Path, environment: dict[str, str]) -> Iterator[Api]:
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from /proc, which this machine has not")
    api = Api(data, environment)
    try:
        api.start()
        yield api
    finally:
        api.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Api]:
    free = shutil.disk_usage(tmp_path).free
    if free < 4 * SIZE:
        pytest.skip(f"this takes {4 * SIZE} bytes of disk, and {free} are free")
    yield from begun(tmp_path / "data", {})
    shutil.rmtree(tmp_path)  # gigabytes must not wait for pytest's own sweep


@pytest.fixture
def remote(tmp_path: Path, s3: str) -> Iterator[Api]:
    store = {"DLKD_STORE_URL": "s3://students/large", "AWS_ENDPOINT_URL": s3, "AWS_ALLOW_HTTP": "true"}
    access = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    yield from begun(tmp_path / "data", {**store, **access})


def door(api: Api) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{api.port}", headers={"Authorization": f"Bearer {api.key}"}, timeout=120, trust_env=False
    )


def send(api: Api, place: str, file: IO[bytes], start: int, end: int, *, claimed: int) -> HTTPConnection:
    """A PATCH of which only the bytes up to `end` are sent."""
    connection = HTTPConnection("127.0.0.1", api.port, timeout=120)
    connection.putrequest("PATCH", place)
    headers = {**STREAM, "Authorization": f"Bearer {api.key}", "Upload-Offset": str(start), "Content-Length": str(claimed)}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    file.seek(start)
    while start < end:
        piece = file.read(min(MIB, end - start))
        connection.send(piece)
        start += len(piece)
    return connection


def offset(client: httpx.Client, place: str) -> int:
    return int(client.head(place, headers=TUS).headers["Upload-Offset"])


def resumed(client: httpx.Client, place: str, *, above: int) -> int:
    """Where to go on, once the service has taken note of what broke off and lets the next request write."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        here = offset(client, place)
        free = client.patch(place, headers={**STREAM, "Upload-Offset": str(here)}, content=b"")
        if free.status_code == 204 and here > above:
            return here
        sleep(0.2)
    raise AssertionError(f"the upload cannot be gone on with: {free.text}")


def upload(api: Api, client: httpx.Client, bundle: Path) -> str:
    """By four requests: one broken off by its client, one by the end of the process, one that goes all the way."""
    size = bundle.stat().st_size
    place = begin(client, size, filename="large.zip")
    with bundle.open("rb") as file:
        send(api, place, file, 0, size // 3, claimed=size).close()
        first = resumed(client, place, above=0)
        assert first <= size // 3
        with suppress(OSError):
            connection = send(api, place, file, first, 2 * size // 3, claimed=size - first)
            api.kill()
            connection.close()
        api.start()
        second = resumed(client, place, above=first)
        assert second <= 2 * size // 3
        connection = send(api, place, file, second, size, claimed=size - second)
        assert connection.getresponse().status == 204
        connection.close()
    assert offset(client, place) == size
    return place.rpartition("/")[2]


def download(api: Api, client: httpx.Client, url: str, size: int) -> str:
    """The sha256 of what comes in three answers, two of which break off; the process is killed in the second."""
    digest, seen, etag = sha256(), 0, ""
    for until in (size // 3, 2 * size // 3, size):
        headers = {"Range": f"bytes={seen}-", **({"If-Range": etag} if etag else {})}
        with client.stream("GET", url, headers=headers, follow_redirects=True) as answer:
            assert answer.status_code == 206
            etag = answer.headers["ETag"]
            for piece in answer.iter_raw():
                digest.update(piece)
                seen += len(piece)
                if seen >= until < size:
                    break
            if size // 3 < until < size:
                api.kill()
                api.start()
    return digest.hexdigest()


def story(api: Api, bundle: Path, weights: Weights) -> None:
    with door(api) as client:
        sent = upload(api, client, bundle)
        bundle.unlink()
        answer = client.post("/v1/models/import", json={"upload_id": sent})
        assert answer.status_code == 201, answer.text
        (file,) = answer.json()["files"]
        assert (file["size"], file["sha256"]) == (weights.size, weights.sha256)
        assert download(api, client, file["url"], weights.size) == weights.sha256
        api.kill()
    assert max(api.peaks) < _MEMORY, api.peaks
    print(f"{weights.size} bytes; peaks of the API's memory: {[peak // 10**6 for peak in api.peaks]} MB")  # noqa: T201 - with -s


@pytest.mark.timeout(600)
def test_a_large_model_survives_its_way_in_and_out(local: Api, tmp_path: Path) -> None:
    weights = Weights(SIZE)
    story(local, pack(tmp_path / "large.zip", weights), weights)


@pytest.mark.timeout(600)
def test_so_it_does_where_files_lie_on_s3(remote: Api, tmp_path: Path) -> None:
    weights = Weights(_ON_S3)
    story(remote, pack(tmp_path / "large.zip", weights), weights)


def test_parts_straight_to_the_store_pass_by_the_service(remote: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole is read once, when it is completed, and never held."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = pack(tmp_path / "large.zip", weights := Weights(_ON_S3))
    with door(remote) as client, Client(str(client.base_url), remote.key) as sender:
        sent = send_file(sender, file)
        model = client.post("/v1/models/import", json={"upload_id": sent}).json()
        assert model["files"][0]["sha256"] == weights.sha256
    assert remote.peak() < _MEMORY
