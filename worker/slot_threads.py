"""Slots: threads that claim and run one job after another."""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from registry.attempts import claims
from registry.attempts.claims import Claim
from registry.jobs.queue_names import QueueName, slot_kind
from registry.workers.capacity import QueueCapacity
from worker import hardware
from worker.attempt_supervisor import supervise
from worker.context import WorkerContext

_log = logging.getLogger(__name__)


class Slots:
    """All slots of a worker."""

    def __init__(self, context: WorkerContext, devices: list[dict[str, Any]]) -> None:
        self._drain_event = Flag()
        self.capacity = hardware.list_capacity(context.settings, devices)
        self._slots: list[_Slot] = []
        for kind, count in hardware.count_slots(context.settings).items():
            capacities = [entry for entry in self.capacity if slot_kind(entry.queue) == kind]
            idle = _IdleSlots(count, context.gpu_count if kind == QueueName.TRAIN else 0)
            if not capacities:
                _log.warning(
                    "No device can serve the queues in DLKD_QUEUES: %s", context.settings.queues
                )
                continue
            self._slots += [
                _Slot(context, index, capacities, idle, self._drain_event) for index in range(count)
            ]

    def start(self) -> None:
        """Start claiming jobs."""
        for slot in self._slots:
            slot.start()

    def wake(self, queue: str) -> None:
        """Wake the idle slots of a queue, so that they look for a job now."""
        for slot in self._slots:
            if queue in slot.queues:
                slot.wake_event.set()

    def count(self) -> Counter[str]:
        """Return the number of slots by kind: training or checks."""
        return Counter(slot.kind for slot in self._slots)

    def count_busy(self) -> Counter[str]:
        """Return the number of busy slots by kind, including kinds without busy slots."""
        return Counter(
            {
                kind: sum(slot.busy for slot in self._slots if slot.kind == kind)
                for kind in self.count()
            }
        )

    def drain(self) -> None:
        """Stop claiming jobs, and wait until all running jobs are checkpointed and requeued."""
        self._drain_event.set()
        for slot in self._slots:
            slot.wake_event.set()
        for slot in self._slots:
            slot.join()


class _IdleSlots:
    """Tracks which slots of one kind are idle. A job may take several slots.

    A slot takes `lock` before it reads the idle slots, and holds it until it has claimed a job.
    """

    def __init__(self, count: int, gpus: int) -> None:
        self.lock = Lock()
        self.slots = set(range(count))
        self._gpus = gpus or count

    def count_available(self, first: int, queues: Iterable[str]) -> dict[str, int]:
        """Return, for each queue, how many slots a job can take if slot `first` claims it."""
        slot_counts: dict[str, int] = {
            QueueName.TRAIN_CPU: len(self.slots),
            QueueName.TRAIN_CUDA: len(self._one_per_gpu(first)),
        }
        return {queue: slot_counts.get(queue, 1) for queue in queues}

    def take(self, first: int, queue: str, count: int) -> list[int]:
        """Take `count` slots including `first`. On a GPU queue, each slot has a different GPU."""
        taken = (
            self._one_per_gpu(first)
            if queue == QueueName.TRAIN_CUDA
            else [first, *sorted(self.slots - {first})]
        )[:count]
        self.slots -= set(taken)
        return taken

    def _one_per_gpu(self, first: int) -> list[int]:
        slot_by_gpu = {first % self._gpus: first}
        for slot in sorted(self.slots):
            slot_by_gpu.setdefault(slot % self._gpus, slot)
        return list(slot_by_gpu.values())


class _Slot(Thread):
    def __init__(
        self,
        context: WorkerContext,
        index: int,
        capacity: list[QueueCapacity],
        idle_slots: _IdleSlots,
        drain_event: Flag,
    ) -> None:
        self.kind = slot_kind(capacity[0].queue)
        super().__init__(name=f"{self.kind}-{index}", daemon=True)
        self._context = context
        self._capacity = capacity
        self.queues = {entry.queue for entry in capacity}
        self._index = index
        self._idle_slots = idle_slots
        self._drain_event = drain_event
        self.wake_event = Flag()

    @property
    def busy(self) -> bool:
        """Whether a job occupies this slot. The job may have been claimed by another slot."""
        return self._index not in self._idle_slots.slots

    def run(self) -> None:
        while not self._drain_event.is_set():
            self.wake_event.clear()
            taken = self._claim_with_slots()
            if taken is None:
                self.wake_event.wait(self._context.settings.poll_seconds)
                continue
            claim, taken_slots = taken
            supervise(self._context, claim, taken_slots, self._drain_event)
            with self._idle_slots.lock:
                self._idle_slots.slots.update(taken_slots)

    def _claim_with_slots(self) -> tuple[Claim, list[int]] | None:
        """Claim a job and its slots. Return None if there is no job or this slot is in use."""
        with self._idle_slots.lock:
            claim = None if self.busy else self._claim_job()
            if claim is None:
                return None
            return claim, self._idle_slots.take(self._index, claim.queue, claim.slots)

    def _claim_job(self) -> Claim | None:
        settings = self._context.settings
        try:
            with self._context.database.write() as session:
                return claims.claim(
                    session,
                    worker_id=self._context.worker_id,
                    capacities=self._capacity,
                    lease=timedelta(seconds=settings.lease_seconds),
                    default_running_limit=settings.quota_running_jobs,
                    free_slots=self._idle_slots.count_available(self._index, self.queues),
                )
        except SQLAlchemyError as error:
            _log.warning("Could not claim a job: the database is unavailable: %s", error)
            return None
