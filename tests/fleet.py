"""A service whose parts are started one by one, as on several machines: they share what the settings name, and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from dlkd_client.client import Client

_START_SECONDS = 120.0


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
    return {**clean, **settings}


def told(settings: Mapping[str, str], *command: str) -> str:
    """What a `dlkd` command prints."""
    line = [sys.executable, "-m", "dlkd_client.command", *command]
    return subprocess.run(line, env=environment(settings), check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def served(settings: Mapping[str, str], folder: Path) -> Iterator[tuple[Client, httpx.Client]]:
    """The API alone over the settings' engines, for the block, and clients of it with a new key: ours, and a plain one."""
    folder.mkdir(parents=True)
    mine = {**settings, "DLKD_DATA": str(folder)}
    told(mine, "db", "upgrade")
    key = told(mine, "key", "add", "fleet")
    plain = httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    with api(mine, folder) as url, Client(url, key) as client, plain as http:
        http.base_url = url
        yield client, http


@contextmanager
def api(settings: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The API for the block, over tables that are there: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handle = {"DLKD_SOCKET": str(listener.fileno())}
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running("api", {**settings, **handle}, folder, pass_fds=[listener.fileno()]) as part:
            soon(lambda: answers(url) or part.process.poll() is not None)
            assert part.process.poll() is None, (folder / "api.log").read_text()[-2000:]
            yield url


def answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez", timeout=5, trust_env=False).is_success
    return False


@contextmanager
def running(
    part: str, settings: Mapping[str, str], folder: Path, *options: str, pass_fds: list[int] | None = None
) -> Iterator["Part"]:
    """`dlkd api` or `dlkd worker` for the block; killed at its end, where it still runs."""
    with (folder / f"{part}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlkd_client.command", part, *options],
            env=environment(settings),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=pass_fds or [],
        )
    found = Part(process)
    try:
        yield found
    finally:
        found.kill()


class Part:
    """A started part of the service."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def kill(self) -> None:
        """As when its machine loses power: all that it has started ends with it, at once."""
        with suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        self.process.wait()


def soon(met: object, seconds: float = _START_SECONDS) -> None:
    """Returns once it is so."""
    assert callable(met)
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.2)
