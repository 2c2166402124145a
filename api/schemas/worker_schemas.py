"""Wire formats of workers and queues."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.base import ResponseModel
from registry.workers.membership import WorkerState


class DeviceOut(ResponseModel):
    """A compute device of a worker and its current load, including the load of other programs."""

    kind: Literal["cpu", "cuda"]
    index: int | None = Field(description="Index of a GPU on its machine. Null for a CPU.")
    name: str | None = Field(description="Name of a GPU. Null for a CPU.")
    cores: int | None = Field(description="Number of CPU cores. Null for a GPU.")
    busy: float | None = Field(
        description="Recent utilization, from 0 to 1. Null if the device does not report it."
    )
    memory_bytes: int = Field(description="Total memory in bytes.")
    used_bytes: int | None = Field(description="Memory in use in bytes.")


class WorkerJobOut(ResponseModel):
    """A job that a worker is running."""

    job_id: str
    status: str
    attempt: int
    slots: int = Field(description="Number of slots that the job occupies.")
    since: datetime = Field(description="Time when the current attempt started.")


class WorkerOut(ResponseModel):
    """The state of a worker process at its last heartbeat."""

    id: str
    name: str
    hostname: str
    pid: int
    version: str
    status: WorkerState = Field(
        description="`draining`: accepts no new jobs and exits when its running jobs have "
        "finished. `gone`: has stopped sending heartbeats, so its jobs are given to other workers."
    )
    queues: list[str]
    slots: dict[str, int] = Field(
        description="Number of slots by kind of work: `train` or `checks`."
    )
    busy: dict[str, int] = Field(
        description="Number of occupied slots by kind of work, including jobs of other owners."
    )
    devices: list[DeviceOut]
    jobs: list[WorkerJobOut] = Field(description="Running jobs that the caller may see.")
    started_at: datetime
    last_seen: datetime = Field(description="Time of the last heartbeat.")


class WorkerList(ResponseModel):
    items: list[WorkerOut]


class QueueOut(ResponseModel):
    """A job queue and the workers that serve it."""

    name: str
    queued: int = Field(description="Number of queued jobs.")
    running: int = Field(description="Number of running jobs.")
    oldest_seconds: float | None = Field(
        description="Waiting time of the oldest queued job in seconds. Null if the queue is empty."
    )
    workers: int = Field(description="Number of workers that accept jobs from this queue.")
    slots: int = Field(
        description="Number of slots that serve this queue. A slot can serve several queues."
    )


class QueueList(ResponseModel):
    items: list[QueueOut]
