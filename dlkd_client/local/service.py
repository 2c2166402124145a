"""Runs the API and a worker on this machine, for `dlkd up`."""

import fcntl
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from types import FrameType

import httpx

from dlkd_client.cli.connection_settings import SERVICE_FILE_NAME
from dlkd_client.cli.credentials import write_private_file
from dlkd_client.local.child_process import ChildProcess, ChildProcessDied, stop_all
from registry.access import api_keys
from registry.db.database import Database
from registry.db.schema_migrations import upgrade
from registry.errors import Unauthenticated
from registry.settings import Settings
from registry.workers import membership

_START_SECONDS = 120.0
_DRAIN_SECONDS = 15.0  # in addition to the time a trainer has for saving its checkpoint
_POLL_SECONDS = 0.2
_WORKER_SEEN_WITHIN = timedelta(seconds=90)  # longer than the interval of worker heartbeats


class CannotStart(Exception):
    """The service cannot be started with these settings. The message says what to do."""


@dataclass(frozen=True)
class ServiceAddress:
    """The address of the service and an API key."""

    url: str
    api_key: str


def run_service(
    settings: Settings,
    on_ready: Callable[[ServiceAddress], None],
    print_message: Callable[[str], None],
) -> None:
    """Run the API and a worker until SIGINT or SIGTERM, then drain the worker.

    When both are ready, `on_ready` is called.

    Raises:
        CannotStart: The data folder or the port is in use. No process was started.
        ChildProcessDied: A process exited during startup, or exited repeatedly.
    """
    stop = Event()
    with ExitStack() as stack:
        stack.enter_context(_handle_signals(stop))
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(_lock_data_folder(settings.data))
        listener = stack.enter_context(_bind_socket(settings))
        upgrade(settings.database_url)
        database = Database(settings.database_url)
        stack.callback(database.close)
        address = ServiceAddress(
            _service_url(settings, listener),
            _load_or_create_key(database, settings.data / "api_key"),
        )
        children = _create_processes(settings, listener)
        stack.callback(stop_all, children, settings.stop_seconds + _DRAIN_SECONDS)
        _start_and_wait(children, database, address, stop)
        if not stop.is_set():
            stack.enter_context(_write_service_file(settings.data / SERVICE_FILE_NAME, address))
            on_ready(address)
            _restart_loop(children, stop, print_message)
        print_message("Stopping. Running jobs are saved and continue at the next start.")


def _create_processes(settings: Settings, listener: socket.socket) -> list[ChildProcess]:
    logs = settings.data / "logs"
    api_environment = {**os.environ, "DLKD_SOCKET": str(listener.fileno())}
    return [
        ChildProcess("api", "api", logs / "api.log", api_environment, pass_fds=[listener.fileno()]),
        ChildProcess("worker", "worker", logs / "worker.log", dict(os.environ)),
    ]


def _start_and_wait(
    children: list[ChildProcess], database: Database, address: ServiceAddress, stop: Event
) -> None:
    """Start the processes and wait until the API and the worker are ready, or `stop` is set."""
    for child in children:
        child.start()
    deadline = monotonic() + _START_SECONDS
    while not stop.is_set() and not (
        _is_api_ready(address.url) and _is_worker_ready(database, children[-1].pid)
    ):
        for child in children:
            if child.exit_status() is not None:
                raise ChildProcessDied(child.describe_exit())
        if monotonic() > deadline:
            raise ChildProcessDied(
                f"The service was not ready within {_START_SECONDS:.0f} s. "
                f"See the logs in {children[0].log.parent}."
            )
        stop.wait(_POLL_SECONDS)


def _is_api_ready(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez", timeout=2, trust_env=False).is_success
    return False


def _is_worker_ready(database: Database, pid: int) -> bool:
    with database.read() as session:
        return any(
            row.pid == pid and row.hostname == socket.gethostname()
            for row in membership.list_alive(session, within=_WORKER_SEEN_WITHIN)
        )


def _restart_loop(
    children: list[ChildProcess], stop: Event, print_message: Callable[[str], None]
) -> None:
    """Restart processes that exit, until `stop` is set or one exits too often."""
    while not stop.wait(_POLL_SECONDS):
        for child in children:
            if child.exit_status() is None:
                continue
            if child.record_exit():
                raise ChildProcessDied(child.describe_exit())
            print_message(f"{child.describe_exit()}\nRestarting it.")
            child.start()


@contextmanager
def _handle_signals(stop: Event) -> Iterator[None]:
    """Set `stop` on the first SIGINT or SIGTERM. A second signal has its default effect."""

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _lock_data_folder(data: Path) -> Iterator[None]:
    """Allow only one running `dlkd up` for each data folder."""
    with (data / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(
                f"A service is already running with the data folder {data}. "
                "Choose another folder with --data."
            ) from error
        yield


@contextmanager
def _bind_socket(settings: Settings) -> Iterator[socket.socket]:
    """Bind the socket that the API process inherits.

    The port stays reserved, and requests during startup wait instead of failing.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). "
                "Choose another --port, or 0 for any free port."
            ) from error
        listener.listen(128)
        yield listener


def _service_url(settings: Settings, listener: socket.socket) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _load_or_create_key(database: Database, file: Path) -> str:
    """Return the API key in the file if it is valid. Otherwise create a key and save it there."""
    if file.exists():
        key = file.read_text().strip()
        with database.read() as session, suppress(Unauthenticated):
            api_keys.authenticate(session, key)
            return key
    with database.write() as session:
        _, key = api_keys.create(session, name="dlkd up")
    write_private_file(file, key + "\n")
    return key


@contextmanager
def _write_service_file(file: Path, address: ServiceAddress) -> Iterator[None]:
    """Write the file through which the user's other `dlkd` commands find the running service."""
    write_private_file(file, json.dumps({"url": address.url, "api_key": address.api_key}) + "\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
