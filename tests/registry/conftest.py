"""The registry over real databases, and a world in which the checks of uploads are answered by hand."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from registry import artifacts, claims, datasets, jobs, keys, models, offers, teachers
from registry.claims import Claim
from registry.db import Database, upgrade
from registry.keys import Principal
from registry.lifecycle import JobStatus
from registry.offers import Offer
from registry.requests import JobRequest
from registry.store import Store, Stored
from registry.tables import Job
from registry.uploads import CHECK_FILES, CHECKS

LEASE = timedelta(seconds=60)
IMAGE = {"channels": 3, "height": 32, "width": 32}


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The URL of a server that holds a migrated database called ``template_dlkd``."""
    _execute(postgresql, "CREATE DATABASE template_dlkd")
    upgrade(make_url(postgresql).set(database="template_dlkd").render_as_string(hide_password=False))
    return postgresql


def _execute(url: str, statement: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with all tables."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "dlkd.db")
        yield f"sqlite:///{tmp_path / 'dlkd.db'}"
        return
    server, name = request.getfixturevalue("postgresql_template"), f"test_{next(_numbers)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE template_dlkd")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


class World:
    """A client and a worker in one; each method is one transaction."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database = database
        self.store = store
        self.principal = Principal("key_test", "test")
        self._contents = count(1)

    def do(self, use_case: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self.database.write() as session:
            return use_case(session, *arguments, **options)

    def put(self, content: bytes | None = None) -> Stored:
        return self.store.put([content or f"content {next(self._contents)}".encode()])

    def teacher(self, content: bytes | None = None) -> str:
        """An uploaded teacher that waits for its check."""
        stored = self.put(content)
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return teachers.create(session, self.principal, stored, filename="resnet.pth").id

    def dataset(self) -> str:
        """An uploaded data set that waits for its check."""
        stored = self.put()
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return datasets.create(session, self.principal, stored, filename="images.zip").id

    def pass_check(self, **report: Any) -> list[tuple[str, str]]:
        """Does the oldest check that waits, which finds nothing wrong; returns the hints."""
        claim = self.claim(CHECKS)
        assert claim is not None
        return self.pass_claimed(claim, **report)

    def pass_claimed(self, claim: Claim, **report: Any) -> list[tuple[str, str]]:
        files = {name: self.put() for name in CHECK_FILES} if claim.kind == "check_dataset" else {}
        found = {"classes": ["a", "b"], "splits": {"train": 8, "val": 4}, "image": IMAGE} if files else NETWORK
        with self.database.write() as session:
            claims.enter(session, claim, JobStatus.RUNNING)
            for stored in files.values():
                artifacts.record(session, self.store, stored)
            return claims.finish_check(session, claim, report={**found, **report}, files=files).hints

    def fail_check(self, message: str = "It is no archive.") -> None:
        claim = self.claim(CHECKS)
        assert claim is not None
        error = {"code": "archive_unreadable", "message": message, "hint": "Send a zip.", "retryable": False}
        settled = self.do(claims.fail, claim, error=error)
        for digest in settled.forget:
            self.do(artifacts.forget, self.store, digest)

    def ready_teacher(self, **report: Any) -> str:
        teacher = self.teacher()
        self.pass_check(**report)
        return teacher

    def ready_dataset(self, **report: Any) -> str:
        dataset = self.dataset()
        self.pass_check(**report)
        return dataset

    def submit(self, *, max_attempts: int = 3, **spec: Any) -> str:
        """A job; without a data set in the spec, on a new one that is ready."""
        spec.setdefault("student", {"architecture": "resnet8"})
        if "dataset" not in spec:
            spec["dataset"] = {"id": self.ready_dataset()}
        with self.database.write() as session:
            return jobs.submit(session, self.principal, JobRequest.model_validate(spec), max_attempts=max_attempts).id

    def claim(
        self, queue: str = offers.TRAIN, worker_id: str = "worker_1", lease: timedelta = LEASE, offer: Offer | None = None
    ) -> Claim | None:
        return self.do(claims.claim, worker_id=worker_id, offers=[offer or Offer(queue)], lease=lease)

    def running(self, **options: Any) -> Claim:
        """A new job that a worker runs."""
        self.submit(**options)
        claim = self.claim()
        assert claim is not None
        self.do(claims.enter, claim, JobStatus.RUNNING)
        return claim

    def finish(self, claim: Claim, content: bytes | None = None) -> str | None:
        """Ends a job with a model of one file."""
        stored = self.put(content)
        row = models.FileRow("student.safetensors", "safetensors", stored.digest, stored.size, top1=0.9, latency_ms=1.5)
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return claims.finish(session, claim, report=REPORT, files=[row])

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def lose_lease(self, claim: Claim) -> None:
        """Time passes: the lease has run out."""
        self.do(claims.heartbeat, claim, lease=timedelta(seconds=-1))

    def key(self) -> str:
        return self.do(keys.create, name="test")[1]


NETWORK = {"format": "torch", "architecture": "resnet56", "options": {"shortcut": "pad"}, "num_classes": 2, "parameters": 100}
REPORT = {
    "architecture": "resnet8",
    "options": {},
    "parameters": 78_042,
    "classes": ["a", "b"],
    "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "metrics": {"teacher": None, "student": {"top1": 0.9, "nll": float("nan")}},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def world(database: Database, store: Store) -> World:
    return World(database, store)
