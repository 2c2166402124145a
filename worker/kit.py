"""What every part of a worker works with."""

from dataclasses import dataclass
from pathlib import Path

from registry.db import Database
from registry.queue import Queue
from registry.settings import Settings
from registry.store import Store
from worker.warm import Warm


@dataclass(frozen=True)
class Kit:
    """The worker's own name, its doors to the rest of the service, and its folder."""

    worker_id: str
    settings: Settings
    database: Database
    store: Store
    queue: Queue
    trainers: Warm
    scratch: Path
    gpus: int = 0
