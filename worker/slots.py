"""Slots: threads that claim a job, see it through, and claim the next until there is none."""

import logging
from collections import Counter
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from registry import claims
from registry.claims import Claim
from registry.offers import Offer, slot_of
from worker import inventory
from worker.kit import Kit
from worker.supervisor import supervise

_log = logging.getLogger(__name__)


class Slots:
    """All slots of a worker."""

    def __init__(self, kit: Kit, devices: list[dict[str, Any]]) -> None:
        self._draining = Flag()
        self.offers = inventory.offers(kit.settings, devices)
        self._slots = [
            _Slot(kit, index, [offer for offer in self.offers if slot_of(offer.queue) == kind], self._draining)
            for kind, count in inventory.slots(kit.settings).items()
            for index in range(count)
        ]

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
        """Those of them that hold a job; a kind whose slots are all idle counts 0."""
        return Counter({kind: sum(slot.busy for slot in self._slots if slot.work == kind) for kind in self.count()})

    def drain(self) -> None:
        """Claims no more; what runs saves a checkpoint and goes back to the queue. Returns when all of it has."""
        self._draining.set()
        for slot in self._slots:
            slot.woken.set()
        for slot in self._slots:
            slot.join()


class _Slot(Thread):
    def __init__(self, kit: Kit, index: int, offers: list[Offer], draining: Flag) -> None:
        self.work = slot_of(offers[0].queue)
        super().__init__(name=f"{self.work}-{index}", daemon=True)
        self.busy = False
        self._kit = kit
        self._offers = offers
        self.queues = {offer.queue for offer in offers}
        self._index = index
        self._draining = draining
        self.woken = Flag()

    def run(self) -> None:
        while not self._draining.is_set():
            self.woken.clear()
            claim = self._claim()
            if claim is not None:
                self.busy = True
                supervise(self._kit, claim, self._index, self._draining)
                self.busy = False
            else:
                self.woken.wait(self._kit.settings.poll_seconds)

    def _claim(self) -> Claim | None:
        lease = timedelta(seconds=self._kit.settings.lease_seconds)
        try:
            with self._kit.database.write() as session:
                running = self._kit.settings.quota_running_jobs
                return claims.claim(session, worker_id=self._kit.worker_id, offers=self._offers, lease=lease, running=running)
        except SQLAlchemyError as error:
            _log.warning("the database does not answer: %s", error)
            return None
