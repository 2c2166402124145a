"""The loop that looks after all jobs: every worker runs it, the leader among them acts."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from registry import artifacts, deadlines, jobs, leaders, sweeps, workers
from registry.endings import Settled
from registry.workers import Drain
from worker import inventory
from worker.courier import Courier
from worker.housekeeping import search, tidy
from worker.kit import Kit

_log = logging.getLogger(__name__)
LEADER = "dispatcher"
_STALE_HINT = timedelta(seconds=5)
_TIDY_SECONDS = 30.0
_SEARCH_SECONDS = 3600.0


class Dispatcher(Thread):
    """Notes that this worker lives; as the leader also expires leases, sends hints and webhooks, and tidies up."""

    def __init__(self, kit: Kit, facts: dict[str, Any], drain: Callable[[Drain], None] = lambda _: None) -> None:
        super().__init__(name="dispatcher", daemon=True)
        self._kit = kit
        self._facts = facts
        self._drain = drain  # told in each round as long as the worker is to drain
        self._courier = Courier(kit)
        self._stopping = Flag()
        self._tidy_due = monotonic()
        self._search_due = monotonic() + _SEARCH_SECONDS
        self._patience = timedelta(seconds=kit.settings.patience_seconds)

    def run(self) -> None:
        """Round after round; one that fails is logged, and the next one tries again."""
        while not self._stopping.is_set():
            try:
                self.round()
            except Exception:  # noqa: BLE001 - the store or the database may be away; the loop must live on
                _log.exception("a round of the dispatcher failed")
            self._stopping.wait(self._kit.settings.dispatch_seconds)

    def announce(self) -> None:
        """Notes that this worker is there: before it claims, so that no job is with a worker that nobody knows."""
        with self._kit.database.write() as session:
            workers.announce(session, self._kit.worker_id, self._facts)

    def stop(self) -> None:
        """Ends the loop and lets another worker lead at once."""
        self._stopping.set()
        self.join()
        try:
            with self._kit.database.write() as session:
                leaders.resign(session, LEADER, self._kit.worker_id)
                workers.leave(session, self._kit.worker_id)
        except SQLAlchemyError as error:
            _log.warning("could not sign off: %s", error)

    def round(self) -> None:
        """One look around."""
        devices = inventory.devices(self._kit.settings)
        with self._kit.database.write() as session:
            if not workers.seen(session, self._kit.worker_id, devices):
                workers.announce(session, self._kit.worker_id, self._facts)
            order = workers.draining(session, self._kit.worker_id)
            leads = leaders.lead(session, LEADER, self._kit.worker_id, self._patience)
        if order:
            self._drain(order)
        if leads:
            self._dispatch()
            self._courier.start()
        if leads and monotonic() >= self._tidy_due:
            tidy(self._kit)
            self._tidy_due = monotonic() + _TIDY_SECONDS
        if leads and monotonic() >= self._search_due:
            self._search_due = monotonic() + _SEARCH_SECONDS
            search(self._kit)

    def _dispatch(self) -> None:
        with self._kit.database.write() as session:
            settled = sweeps.expire(session, retry_after=timedelta(seconds=self._kit.settings.retry_seconds))
            deadlines.expire_waiting(session)
            late = [(job.queue, job.id) for job in jobs.promote(session)]
            hints = sweeps.due_hints(session, stale=_STALE_HINT, alive=self._patience)
        for queue, job_id in dict.fromkeys([*settled.hints, *late, *hints]):
            self._kit.queue.send(queue, job_id)
        self._forget(settled)

    def _forget(self, settled: Settled) -> None:
        for digest in settled.forget:
            with self._kit.database.write() as session:
                artifacts.forget(session, self._kit.store, digest)
