"""Helpers that start each process of a service separately, as on several machines.

The processes share only the database, broker and store given in the settings.
"""

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


def build_environment(settings: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}
    return {**clean, **settings}


def run_command(settings: Mapping[str, str], *command: str) -> str:
    """Run a `dlkd` command and return its standard output."""
    command_line = [sys.executable, "-m", "dlkd_client.cli.app", *command]
    return subprocess.run(
        command_line, env=build_environment(settings), check=True, capture_output=True, text=True
    ).stdout.strip()


@contextmanager
def serve_with_client(
    settings: Mapping[str, str], folder: Path
) -> Iterator[tuple[Client, httpx.Client]]:
    """Run only the API within the `with` block and yield two clients.

    The first is a `dlkd_client` client, the second a plain HTTP client. Both use the same new API
    key.
    """
    folder.mkdir(parents=True)
    api_settings = {**settings, "DLKD_DATA": str(folder)}
    run_command(api_settings, "db", "upgrade")
    key = run_command(api_settings, "key", "add", "fleet")
    http_client = httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    with run_api(api_settings, folder) as url, Client(url, key) as client, http_client as http:
        http.base_url = url
        yield client, http


@contextmanager
def run_api(settings: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Run the API within the `with` block and yield its URL. The database must be migrated."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket_settings = {"DLKD_SOCKET": str(listener.fileno())}
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with run_part(
            "api", {**settings, **socket_settings}, folder, pass_fds=[listener.fileno()]
        ) as part:
            wait_until(lambda: is_live(url) or part.process.poll() is not None)
            assert part.process.poll() is None, (folder / "api.log").read_text()[-2000:]
            yield url


def is_live(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez", timeout=5, trust_env=False).is_success
    return False


@contextmanager
def run_part(
    part: str,
    settings: Mapping[str, str],
    folder: Path,
    *options: str,
    pass_fds: list[int] | None = None,
) -> Iterator["ServiceProcess"]:
    """Run `dlkd api` or `dlkd worker` within the `with` block, then kill the process."""
    with (folder / f"{part}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlkd_client.cli.app", part, *options],
            env=build_environment(settings),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=pass_fds or [],
        )
    service_process = ServiceProcess(process)
    try:
        yield service_process
    finally:
        service_process.kill()


class ServiceProcess:
    """Running `dlkd api` or `dlkd worker` process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def kill(self) -> None:
        """Kill the process and all its children, as if the machine had lost power."""
        with suppress(psutil.NoSuchProcess):
            for process in [
                *psutil.Process(self.process.pid).children(recursive=True),
                psutil.Process(self.process.pid),
            ]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        self.process.wait()


def wait_until(condition: object, seconds: float = _START_SECONDS) -> None:
    """Wait until `condition()` is true, or fail after `seconds`."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.2)
