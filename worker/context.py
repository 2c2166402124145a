"""The dependencies that all parts of a worker share."""

from dataclasses import dataclass
from pathlib import Path

from registry.db.database import Database
from registry.jobs.job_queue import JobQueue
from registry.settings import Settings
from registry.storage.object_store import Store
from worker.trainer_pool import TrainerPool


@dataclass(frozen=True)
class WorkerContext:
    """The worker's id, settings, backends, trainer pool and scratch folder."""

    worker_id: str
    settings: Settings
    database: Database
    store: Store
    queue: JobQueue
    trainer_pool: TrainerPool
    scratch: Path
    gpu_count: int = 0
