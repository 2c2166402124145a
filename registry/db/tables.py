"""All tables. Importing this module registers every table with `Base.metadata`."""

from registry.db import (
    access_tables,
    input_tables,
    job_tables,
    model_tables,
    webhook_tables,
    worker_tables,
)
from registry.db.base import Base

__all__ = [
    "Base",
    "access_tables",
    "input_tables",
    "job_tables",
    "model_tables",
    "webhook_tables",
    "worker_tables",
]
