"""Slots: threads that claim a job, see it through, and claim the next until there is none."""

import logging
from datetime import timedelta
from threading import Event as Flag
from threading import Thread

from sqlalchemy.exc import SQLAlchemyError

from registry import claims
from registry.claims import Claim
from worker import inventory
from worker.kit import Kit
from worker.supervisor import supervise

_log = logging.getLogger(__name__)


class Slots:
    """All slots of a worker."""

    def __init__(self, kit: Kit) -> None:
        self._draining = Flag()
        counts = inventory.slots(kit.settings).items()
        self._slots = [_Slot(kit, queue, index, self._draining) for queue, count in counts for index in range(count)]

    def start(self) -> None:
        """Begins to claim."""
        for slot in self._slots:
            slot.start()

    def wake(self, queue: str) -> None:
        """There may be something to do: idle slots of that queue look at once."""
        for slot in self._slots:
            if slot.queue == queue:
                slot.woken.set()

    def drain(self) -> None:
        """Claims no more; what runs saves a checkpoint and goes back to the queue. Returns when all of it has."""
        self._draining.set()
        for slot in self._slots:
            slot.woken.set()
        for slot in self._slots:
            slot.join()


class _Slot(Thread):
    def __init__(self, kit: Kit, queue: str, index: int, draining: Flag) -> None:
        super().__init__(name=f"{queue}-{index}", daemon=True)
        self._kit = kit
        self.queue = queue
        self._index = index
        self._draining = draining
        self.woken = Flag()

    def run(self) -> None:
        while not self._draining.is_set():
            self.woken.clear()
            claim = self._claim()
            if claim is not None:
                supervise(self._kit, claim, self._index, self._draining)
            else:
                self.woken.wait(self._kit.settings.poll_seconds)

    def _claim(self) -> Claim | None:
        lease = timedelta(seconds=self._kit.settings.lease_seconds)
        try:
            with self._kit.database.write() as session:
                return claims.claim(session, worker_id=self._kit.worker_id, queues=[self.queue], lease=lease)
        except SQLAlchemyError as error:
            _log.warning("the database does not answer: %s", error)
            return None
