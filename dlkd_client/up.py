"""`dlkd up`: the whole service on this machine, on its embedded defaults, until INT or TERM."""

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

from dlkd_client.connect import SERVICE_FILE
from dlkd_client.processes import Child, ChildDied, end_all
from registry import keys, workers
from registry.db import Database, upgrade
from registry.errors import Unauthenticated
from registry.settings import Settings

_START_SECONDS = 120.0
_DRAIN_SECONDS = 15.0  # beside the time that a trainer has to save its checkpoint
_WATCH_SECONDS = 0.2
_LATELY = timedelta(seconds=90)  # workers report more often


class CannotStart(Exception):
    """The service cannot be started as it was asked for; the message says what to do."""


@dataclass(frozen=True)
class Running:
    """Where the service is, and a key of it."""

    url: str
    api_key: str


def run(settings: Settings, announce: Callable[[Running], None], say: Callable[[str], None]) -> None:
    """Starts everything, announces it once it can work, and drains it on INT or TERM.

    Raises:
        CannotStart: before anything was started.
        ChildDied: a process ended while starting, or again and again.
    """
    stop = Event()
    with ExitStack() as stack:
        stack.enter_context(_signals(stop))
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(_alone(settings.data))
        listener = stack.enter_context(_listen(settings))
        upgrade(settings.database_url)
        database = Database(settings.database_url)
        stack.callback(database.close)
        running = Running(_url(settings, listener), _api_key(database, settings.data / "api_key"))
        children = _children(settings, listener)
        stack.callback(end_all, children, settings.stop_seconds + _DRAIN_SECONDS)
        _start(children, database, running, stop)
        if not stop.is_set():
            stack.enter_context(_service_file(settings.data / SERVICE_FILE, running))
            announce(running)
            _watch(children, stop, say)
        say("Stopping: work in progress is saved and goes on at the next start.")


def _children(settings: Settings, listener: socket.socket) -> list[Child]:
    logs = settings.data / "logs"
    handle = {"DLKD_SOCKET": str(listener.fileno())}
    return [
        Child("api", "api", logs / "api.log", {**os.environ, **handle}, pass_fds=[listener.fileno()]),
        Child("worker", "worker", logs / "worker.log", dict(os.environ)),
    ]


def _start(children: list[Child], database: Database, running: Running, stop: Event) -> None:
    """Returns when the API answers and the worker has announced itself, or when it was told to stop."""
    for child in children:
        child.start()
    until = monotonic() + _START_SECONDS
    while not stop.is_set() and not (_answers(running.url) and _announced(database, children[-1].pid)):
        for child in children:
            if child.fallen() is not None:
                raise ChildDied(child.obituary())
        if monotonic() > until:
            raise ChildDied(f"The service was not ready within {_START_SECONDS:.0f} s; see {children[0].log.parent}.")
        stop.wait(_WATCH_SECONDS)


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez", timeout=2, trust_env=False).is_success
    return False


def _announced(database: Database, pid: int) -> bool:
    with database.read() as session:
        return any(row.pid == pid and row.hostname == socket.gethostname() for row in workers.alive(session, within=_LATELY))


def _watch(children: list[Child], stop: Event, say: Callable[[str], None]) -> None:
    """Until it is told to stop: a process that fell is started again, unless that does not help."""
    while not stop.wait(_WATCH_SECONDS):
        for child in children:
            if child.fallen() is None:
                continue
            if child.hopeless():
                raise ChildDied(child.obituary())
            say(f"{child.obituary()}\nStarting it again.")
            child.start()


@contextmanager
def _signals(stop: Event) -> Iterator[None]:
    """INT and TERM set the event; a second one is no longer ours."""

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One `dlkd up` for one data folder."""
    with (data / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(f"A service is up already on {data}; name another folder with --data.") from error
        yield


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """The socket that the API inherits: so a free port stays ours, and early requests wait instead of failing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise CannotStart(
                f"{settings.host}:{settings.port} cannot be had ({error.strerror}): name another --port, or 0 for any."
            ) from error
        listener.listen(128)
        yield listener


def _url(settings: Settings, listener: socket.socket) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not bound to
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _api_key(database: Database, file: Path) -> str:
    """The key in the file, or a new one in it."""
    if file.exists():
        key = file.read_text().strip()
        with database.read() as session, suppress(Unauthenticated):
            keys.authenticate(session, key)
            return key
    with database.write() as session:
        _, key = keys.create(session, name="dlkd up")
    _write_private(file, key + "\n")
    return key


@contextmanager
def _service_file(file: Path, running: Running) -> Iterator[None]:
    """Where `dlkd` commands of the same user find the service while it is up."""
    _write_private(file, json.dumps({"url": running.url, "api_key": running.api_key}) + "\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _write_private(file: Path, text: str) -> None:
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    new.replace(file)
