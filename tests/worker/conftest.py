"""A worker's parts over a real SQLite database and a real local store, with trainers that are scripts."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from threading import Event as Flag
from time import sleep
from typing import Any

import pytest

from registry.claims import Claim
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.tables import Job, JobEvent
from registry.testing import MemoryQueue
from tests.registry.conftest import World, sqlite_template
from worker.environment import clean
from worker.kit import Kit
from worker.process import Trainer
from worker.supervisor import supervise
from worker.warm import Warm

__all__ = ["sqlite_template"]

SCRIPTED = Path(__file__).with_name("scripted.py")
QUICK = {
    "progress_seconds": 0.02,
    "dispatch_seconds": 0.02,
    "poll_seconds": 0.05,
    "retry_seconds": 0.0,
    "checkpoint_seconds": 0.0,
}


def scripted(body: str) -> tuple[str, ...]:
    """The command of a trainer that does what the body says, by the words of scripted.py."""
    return (sys.executable, "-I", "-S", str(SCRIPTED), body)


def soon(met: Callable[[], Any]) -> None:
    """Returns once it is so; the test's timeout is the only limit."""
    while not met():
        sleep(0.01)


class Workshop(World):
    """A client, and the parts of a worker."""

    def __init__(self, database: Database, store: Store, settings: Settings, open_kits: list[Kit]) -> None:
        super().__init__(database, store)
        self.settings = settings
        self.queue = MemoryQueue()
        self._open = open_kits

    def kit(self, body: str | Sequence[str] = "", *, store: Store | None = None, gpus: int = 0, **settings: Any) -> Kit:
        """What a worker works with; its trainers do what the body says, or are started by a command."""
        number = len(self._open)
        changed = self.settings.model_copy(update=settings)
        scratch = changed.data / f"work-{number}"
        scratch.mkdir(parents=True)
        trainers = Warm(scripted(body) if isinstance(body, str) else body, threads=1)
        kit = Kit(f"worker_{number}", changed, self.database, store or self.store, self.queue, trainers, scratch, gpus)
        self._open.append(kit)
        return kit

    def take(self, kit: Kit, queue: str = "train") -> Claim:
        """A job of the queue, claimed by the kit's worker."""
        claim = self.claim(queue, worker_id=kit.worker_id)
        assert claim is not None
        return claim

    def run(self, kit: Kit, queue: str = "train") -> Job:
        """The next job of the queue, run by the kit's worker to the end of the attempt."""
        claim = self.take(kit, queue)
        supervise(kit, claim, (0,), Flag())
        return self.job(claim.job_id)

    def events(self, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        with self.database.read() as session:
            rows = session.query(JobEvent).filter_by(job_id=job_id).order_by(JobEvent.seq)
            return [(row.type, row.data) for row in rows]

    @contextmanager
    def away(self) -> Iterator[None]:
        """The database does not answer for the block; nobody else may use it when that begins."""
        path = Path(self.database.engine.url.database or "")
        hidden = path.with_suffix(".hidden")
        self.database.close()
        path.rename(hidden)
        path.symlink_to(path.parent / "nowhere" / path.name)
        try:
            yield
        finally:
            hidden.rename(path)  # at once: whoever opens the file in between must not make an empty one


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """Of a worker in a hurry, over an empty database."""
    settings = Settings(data=tmp_path / "data", trainer_threads=1).model_copy(update=QUICK)
    settings.data.mkdir()
    copy(sqlite_template, settings.data / "dlkd.db")
    return settings


@pytest.fixture
def workshop(settings: Settings) -> Iterator[Workshop]:
    kits: list[Kit] = []
    database = Database(settings.database_url)
    yield Workshop(database, Store(settings.store_url), settings, kits)
    for kit in kits:
        kit.trainers.close()
    database.close()


@pytest.fixture
def start() -> Iterator[Callable[[tuple[str, ...]], Trainer]]:
    """Starts a trainer that is ended with the test."""
    started: list[Trainer] = []

    def begin(command: tuple[str, ...]) -> Trainer:
        started.append(Trainer(command, clean(os.environ, threads=1)))
        return started[-1]

    yield begin
    for trainer in started:
        trainer.kill()
        trainer.end()
