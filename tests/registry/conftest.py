"""Fixtures: empty SQLite and PostgreSQL databases, and a harness that acts as client and worker."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from registry.access import api_keys
from registry.access.permissions import Principal
from registry.attempts import claims
from registry.attempts.claims import Claim
from registry.db.database import Database
from registry.db.job_tables import Job
from registry.db.schema_migrations import upgrade
from registry.inputs import datasets, teachers
from registry.jobs import submission
from registry.jobs.job_enums import JobKind
from registry.jobs.job_request import JobRequest
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from registry.storage import artifacts
from registry.storage.object_store import Store, StoredFile
from registry.uploads.upload_check_jobs import CHECK_FILES
from registry.workers.capacity import QueueCapacity

LEASE = timedelta(seconds=60)
IMAGE = {"channels": 3, "height": 32, "width": 32}


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """Create the migrated database `template_dlkd` and return the URL of the server."""
    _execute(postgresql, "CREATE DATABASE template_dlkd")
    upgrade(
        make_url(postgresql).set(database="template_dlkd").render_as_string(hide_password=False)
    )
    return postgresql


def _execute(url: str, statement: str) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


_database_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a new database with all tables."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "dlkd.db")
        yield f"sqlite:///{tmp_path / 'dlkd.db'}"
        return
    server, name = request.getfixturevalue("postgresql_template"), f"test_{next(_database_numbers)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE template_dlkd")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


class RegistryHarness:
    """Test harness that acts as both client and worker."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database = database
        self.store = store
        self.principal = Principal("key_test", "test")
        self._contents = count(1)

    def run(self, use_case: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self.database.write() as session:
            return use_case(session, *arguments, **options)

    def store_file(self, content: bytes | None = None) -> StoredFile:
        return self.store.put([content or f"content {next(self._contents)}".encode()])

    def upload_teacher(self, content: bytes | None = None) -> str:
        """Upload a teacher and queue its check."""
        stored = self.store_file(content)
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return teachers.create(session, self.principal, stored, filename="resnet.pth").id

    def upload_dataset(self) -> str:
        """Upload a dataset and queue its check."""
        stored = self.store_file()
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return datasets.create(session, self.principal, stored, filename="images.zip").id

    def pass_check(self, **report: Any) -> list[tuple[str, str]]:
        """Make the oldest queued check succeed. Return the messages that wake workers."""
        claim = self.claim(QueueName.CHECKS)
        assert claim is not None
        return self.pass_claimed_check(claim, **report)

    def pass_claimed_check(self, claim: Claim, **report: Any) -> list[tuple[str, str]]:
        is_dataset = claim.kind == JobKind.CHECK_DATASET
        files = {name: self.store_file() for name in CHECK_FILES} if is_dataset else {}
        default_report = DATASET_REPORT if is_dataset else TEACHER_REPORT
        with self.database.write() as session:
            claims.advance_status(session, claim, JobStatus.RUNNING)
            for stored in files.values():
                artifacts.record(session, self.store, stored)
            return claims.finish_check(
                session, claim, report={**default_report, **report}, files=files
            ).hints

    def fail_check(self, message: str = "This is not an archive.") -> None:
        claim = self.claim(QueueName.CHECKS)
        assert claim is not None
        error = {
            "code": "archive_unreadable",
            "message": message,
            "hint": "Send a zip.",
            "retryable": False,
        }
        work = self.run(claims.fail, claim, error=error)
        for digest in work.orphaned_digests:
            self.run(artifacts.delete_if_unreferenced, self.store, digest)

    def add_ready_teacher(self, **report: Any) -> str:
        teacher = self.upload_teacher()
        self.pass_check(**report)
        return teacher

    def add_ready_dataset(self, **report: Any) -> str:
        dataset = self.upload_dataset()
        self.pass_check(**report)
        return dataset

    def submit(self, *, max_attempts: int = 3, **spec: Any) -> str:
        """Submit a job. If the spec names no dataset, upload and check a new one first."""
        spec.setdefault("student", {"architecture": "resnet8"})
        if "dataset" not in spec:
            spec["dataset"] = {"id": self.add_ready_dataset()}
        with self.database.write() as session:
            return submission.submit(
                session, self.principal, JobRequest.model_validate(spec), max_attempts=max_attempts
            ).id

    def claim(
        self,
        queue: str = QueueName.TRAIN,
        worker_id: str = "worker_1",
        lease: timedelta = LEASE,
        capacity: QueueCapacity | None = None,
    ) -> Claim | None:
        return self.run(
            claims.claim,
            worker_id=worker_id,
            capacities=[capacity or QueueCapacity(queue)],
            lease=lease,
        )

    def start_job(self, **options: Any) -> Claim:
        """Submit a job, claim it and mark it as running."""
        self.submit(**options)
        claim = self.claim()
        assert claim is not None
        self.run(claims.advance_status, claim, JobStatus.RUNNING)
        return claim

    def finish(self, claim: Claim, content: bytes | None = None) -> str | None:
        """Finish a job with a single-file model and return the id of the model."""
        stored = self.store_file(content)
        file = model_versions.ExportedFile(
            "student.safetensors",
            "safetensors",
            stored.digest,
            stored.size,
            top1=0.9,
            latency_ms=1.5,
        )
        with self.database.write() as session:
            artifacts.record(session, self.store, stored)
            return claims.finish(session, claim, report=TRAINING_REPORT, files=[file])

    def get_job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def expire_lease(self, claim: Claim) -> None:
        """Move the expiry of the claim's lease into the past."""
        self.run(claims.heartbeat, claim, lease=timedelta(seconds=-1))

    def create_key(self) -> str:
        return self.run(api_keys.create, name="test")[1]


DATASET_REPORT = {"classes": ["a", "b"], "splits": {"train": 8, "val": 4}, "image": IMAGE}
TEACHER_REPORT = {
    "format": "torch",
    "architecture": "resnet56",
    "options": {"shortcut": "pad"},
    "num_classes": 2,
    "parameters": 100,
}
TRAINING_REPORT = {
    "architecture": "resnet8",
    "options": {},
    "parameters": 78_042,
    "classes": ["a", "b"],
    "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "metrics": {"teacher": None, "student": {"top1": 0.9, "nll": float("nan")}},
}

# Arguments: database URL, worker id, number of tries, and limit of running jobs (or "none").
_CLAIM_PROGRAM = """
import sys
from datetime import timedelta
from registry.attempts import claims
from registry.db.database import Database
from registry.workers.capacity import QueueCapacity

url, worker_id, rounds, limit = sys.argv[1:]
database = Database(url)
sys.stdin.readline()  # all processes start together
for _ in range(int(rounds)):
    with database.write() as session:
        claim = claims.claim(
            session,
            worker_id=worker_id,
            capacities=[QueueCapacity("train")],
            lease=timedelta(seconds=60),
            default_running_limit=None if limit == "none" else int(limit),
        )
    if claim is not None:
        print(claim.job_id, claim.attempt)
"""


def claim_in_processes(
    database_url: str, *, rounds: int, running_limit: int | None = None
) -> list[tuple[str, int]]:
    """Claim jobs in three concurrent processes. Return the job id and attempt of each claim."""
    command = [sys.executable, "-c", _CLAIM_PROGRAM, database_url]
    limit = "none" if running_limit is None else str(running_limit)
    processes = [
        subprocess.Popen(
            [*command, f"worker_{number}", str(rounds), limit],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 3
    return [(job_id, int(attempt)) for job_id, attempt in map(str.split, lines)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path / 'store'}")


@pytest.fixture
def harness(database: Database, store: Store) -> RegistryHarness:
    return RegistryHarness(database, store)
