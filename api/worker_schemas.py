"""What clients see of workers."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas import Out


class DeviceOut(Out):
    """A device of a worker, and how much of it is in use by whomever."""

    kind: Literal["cpu", "cuda"]
    index: int | None = Field(description="Of a GPU, on its machine")
    name: str | None = Field(description="Of a GPU")
    cores: int | None = Field(description="Of the CPU")
    busy: float | None = Field(description="Share of the last moments, in [0, 1]; null: it does not tell")
    memory_bytes: int
    used_bytes: int | None


class HeldOut(Out):
    """A job that a worker works on."""

    job_id: str
    status: str
    attempt: int
    slots: int
    since: datetime = Field(description="When the attempt began")


class WorkerOut(Out):
    """A worker process, as it was when it was last heard of."""

    id: str
    name: str
    hostname: str
    pid: int
    version: str
    status: Literal["alive", "draining", "gone"] = Field(
        description="draining: it takes no new job and ends; gone: it fell silent, and its jobs go to others"
    )
    queues: list[str]
    slots: dict[str, int] = Field(description="By what they work on: train or checks")
    busy: dict[str, int] = Field(description="Those of them that hold a job, whosever it is")
    devices: list[DeviceOut]
    jobs: list[HeldOut] = Field(description="Those of the jobs in them that the caller may see")
    started_at: datetime
    last_seen: datetime


class WorkerList(Out):
    items: list[WorkerOut]


class QueueOut(Out):
    """What waits in a queue, and who works on it."""

    name: str
    queued: int
    running: int = Field(description="Held by a worker")
    oldest_seconds: float | None = Field(description="For how long the job that waits longest has waited; null: none waits")
    workers: int = Field(description="That take jobs of it now")
    slots: int = Field(description="Of those workers; a training slot works on several queues")


class QueueList(Out):
    items: list[QueueOut]


def device_out(device: dict[str, Any]) -> DeviceOut:
    """What a worker wrote down of a device."""
    return DeviceOut(**{name: device.get(name) for name in DeviceOut.model_fields})  # type: ignore[arg-type]  # as it was written
