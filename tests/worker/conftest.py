"""Fixtures: a worker with scripted trainers, a real SQLite database and a local store."""

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

from registry.attempts.claims import Claim
from registry.db.database import Database
from registry.db.job_tables import Job, JobEvent
from registry.settings import Settings
from registry.storage.object_store import Store, StoredFile
from registry.testing import InMemoryJobQueue
from tests.registry.conftest import RegistryHarness, sqlite_template
from worker.attempt_supervisor import supervise
from worker.context import WorkerContext
from worker.environment import build_environment
from worker.trainer_pool import TrainerPool
from worker.trainer_process import TrainerProcess

__all__ = ["sqlite_template"]

StartTrainer = Callable[[tuple[str, ...]], TrainerProcess]
SCRIPTED_TRAINER = Path(__file__).with_name("scripted_trainer.py")
FAST_SETTINGS = {
    "progress_seconds": 0.02,
    "dispatch_seconds": 0.02,
    "poll_seconds": 0.05,
    "retry_seconds": 0.0,
    "checkpoint_seconds": 0.0,
}


def scripted_command(body: str) -> tuple[str, ...]:
    """Return the command that runs `body` as a trainer, using scripted_trainer.py."""
    return (sys.executable, "-I", "-S", str(SCRIPTED_TRAINER), body)


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait until `condition()` is true. Only the test's own timeout limits the wait."""
    while not condition():
        sleep(0.01)


class WorkerHarness(RegistryHarness):
    """Submits jobs like a client, and creates the contexts of workers that run them."""

    def __init__(
        self,
        database: Database,
        store: Store,
        settings: Settings,
        open_contexts: list[WorkerContext],
    ) -> None:
        super().__init__(database, store)
        self.settings = settings
        self.queue = InMemoryJobQueue()
        self._contexts = open_contexts

    def create_context(
        self,
        body: str | Sequence[str] = "",
        *,
        store: Store | None = None,
        gpus: int = 0,
        **settings: Any,
    ) -> WorkerContext:
        """Create the context of a new worker.

        `body` is the Python code that the worker's scripted trainers run, or a command that starts
        real trainers.
        """
        number = len(self._contexts)
        worker_settings = self.settings.model_copy(update=settings)
        scratch = worker_settings.data / f"work-{number}"
        scratch.mkdir(parents=True)
        command = scripted_command(body) if isinstance(body, str) else body
        trainers = TrainerPool(command, threads=1)
        context = WorkerContext(
            f"worker_{number}",
            worker_settings,
            self.database,
            store or self.store,
            self.queue,
            trainers,
            scratch,
            gpus,
        )
        self._contexts.append(context)
        return context

    def claim_job(self, context: WorkerContext, queue: str = "train") -> Claim:
        """Claim the next job in the queue for the worker of this context."""
        claim = self.claim(queue, worker_id=context.worker_id)
        assert claim is not None
        return claim

    def run_next_job(self, context: WorkerContext, queue: str = "train") -> Job:
        """Claim the next job in the queue, run the attempt to its end and return the job."""
        claim = self.claim_job(context, queue)
        supervise(context, claim, (0,), Flag())
        return self.get_job(claim.job_id)

    def events(self, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        with self.database.read() as session:
            rows = session.query(JobEvent).filter_by(job_id=job_id).order_by(JobEvent.seq)
            return [(row.type, row.data) for row in rows]

    @contextmanager
    def database_unavailable(self) -> Iterator[None]:
        """Make the database unavailable within the `with` block.

        No other thread may be using the database when the block is entered.
        """
        path = Path(self.database.engine.url.database or "")
        hidden = path.with_suffix(".hidden")
        self.database.close()
        path.rename(hidden)
        path.symlink_to(path.parent / "missing" / path.name)
        try:
            yield
        finally:
            # The rename is atomic, so no other thread can create an empty database in between.
            hidden.rename(path)


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """Return settings with short intervals and an empty database."""
    settings = Settings(data=tmp_path / "data", trainer_threads=1).model_copy(update=FAST_SETTINGS)
    settings.data.mkdir()
    copy(sqlite_template, settings.data / "dlkd.db")
    return settings


@pytest.fixture
def harness(settings: Settings) -> Iterator[WorkerHarness]:
    contexts: list[WorkerContext] = []
    database = Database(settings.database_url)
    yield WorkerHarness(database, Store(settings.store_url), settings, contexts)
    for context in contexts:
        context.trainer_pool.close()
    database.close()


@pytest.fixture
def stripes_harness(harness: WorkerHarness, stripes: Path) -> WorkerHarness:
    """Return a harness whose datasets all contain the images of the stripes dataset."""

    def store_stripes(content: bytes | None = None) -> StoredFile:
        return harness.store.put([content or stripes.read_bytes()])

    harness.store_file = store_stripes  # type: ignore[method-assign]
    return harness


@pytest.fixture
def start_trainer() -> Iterator[StartTrainer]:
    """Return a function that starts a trainer process, which is killed after the test."""
    trainers: list[TrainerProcess] = []

    def start(command: tuple[str, ...]) -> TrainerProcess:
        trainers.append(TrainerProcess(command, build_environment(os.environ, threads=1)))
        return trainers[-1]

    yield start
    for trainer in trainers:
        trainer.kill()
        trainer.end()
