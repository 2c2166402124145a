"""Slots: threads that claim a job, see it through, and claim the next until there is none."""

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from registry import claims
from registry.claims import Claim
from registry.offers import CPU, CUDA, TRAIN, Offer, slot_of
from worker import inventory
from worker.kit import Kit
from worker.supervisor import supervise

_log = logging.getLogger(__name__)


class Slots:
    """All slots of a worker."""

    def __init__(self, kit: Kit, devices: list[dict[str, Any]]) -> None:
        self._draining = Flag()
        self.offers = inventory.offers(kit.settings, devices)
        self._slots: list[_Slot] = []
        for kind, count in inventory.slots(kit.settings).items():
            offers = [offer for offer in self.offers if slot_of(offer.queue) == kind]
            idle = _Idle(count, kit.gpus if kind == TRAIN else 0)
            if not offers:
                _log.warning("no device here for what DLKD_QUEUES names: %s", kit.settings.queues)
                continue
            self._slots += [_Slot(kit, index, offers, idle, self._draining) for index in range(count)]

    def start(self) -> None:
        """Begins to claim."""
        for slot in self._slots:
            slot.start()

    def wake(self, queue: str) -> None:
        """There may be something to do: idle slots of that queue look at once."""
        for slot in self._slots:
            if queue in slot.queues:
                slot.woken.set()

    def count(self) -> Counter[str]:
        """The slots by what they work on: training or checks."""
        return Counter(slot.work for slot in self._slots)

    def busy(self) -> Counter[str]:
        """Those of them that a job holds; a kind whose slots are all idle counts 0."""
        return Counter({kind: sum(slot.busy for slot in self._slots if slot.work == kind) for kind in self.count()})

    def drain(self) -> None:
        """Claims no more; what runs saves a checkpoint and goes back to the queue. Returns when all of it has."""
        self._draining.set()
        for slot in self._slots:
            slot.woken.set()
        for slot in self._slots:
            slot.join()


class _Idle:
    """The idle slots of one kind, by number; a job may take several. `lock` is held from the look at them to the claim."""

    def __init__(self, count: int, gpus: int) -> None:
        self.lock = Lock()
        self.slots = set(range(count))
        self._gpus = gpus or count

    def free(self, first: int, queues: Iterable[str]) -> dict[str, int]:
        """By queue, how many slots a job can have that the slot `first` claims."""
        several = {CPU: len(self.slots), CUDA: len(self._apart(first))}
        return {queue: several.get(queue, 1) for queue in queues}

    def take(self, first: int, queue: str, count: int) -> list[int]:
        """So many slots, `first` among them; each has a GPU of its own where the queue is one of GPUs."""
        taken = (self._apart(first) if queue == CUDA else [first, *sorted(self.slots - {first})])[:count]
        self.slots -= set(taken)
        return taken

    def _apart(self, first: int) -> list[int]:
        found = {first % self._gpus: first}
        for slot in sorted(self.slots):
            found.setdefault(slot % self._gpus, slot)
        return list(found.values())


class _Slot(Thread):
    def __init__(self, kit: Kit, index: int, offers: list[Offer], idle: _Idle, draining: Flag) -> None:
        self.work = slot_of(offers[0].queue)
        super().__init__(name=f"{self.work}-{index}", daemon=True)
        self._kit = kit
        self._offers = offers
        self.queues = {offer.queue for offer in offers}
        self._index = index
        self._idle = idle
        self._draining = draining
        self.woken = Flag()

    @property
    def busy(self) -> bool:
        """Whether a job holds it, be it one that another slot has claimed."""
        return self._index not in self._idle.slots

    def run(self) -> None:
        while not self._draining.is_set():
            self.woken.clear()
            taken = self._take()
            if taken is None:
                self.woken.wait(self._kit.settings.poll_seconds)
                continue
            claim, places = taken
            supervise(self._kit, claim, places, self._draining)
            with self._idle.lock:
                self._idle.slots.update(places)

    def _take(self) -> tuple[Claim, list[int]] | None:
        """A job with the slots that it takes; None where there is none, or another's job has this slot."""
        with self._idle.lock:
            claim = None if self.busy else self._claim()
            return None if claim is None else (claim, self._idle.take(self._index, claim.queue, claim.slots))

    def _claim(self) -> Claim | None:
        settings = self._kit.settings
        try:
            with self._kit.database.write() as session:
                return claims.claim(
                    session,
                    worker_id=self._kit.worker_id,
                    offers=self._offers,
                    lease=timedelta(seconds=settings.lease_seconds),
                    running=settings.quota_running_jobs,
                    free=self._idle.free(self._index, self.queues),
                )
        except SQLAlchemyError as error:
            _log.warning("the database does not answer: %s", error)
            return None
