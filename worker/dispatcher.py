"""The dispatcher loop of a worker.

The loop of the elected leader also does the work that is needed only once for all workers.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from registry.attempts import maintenance
from registry.jobs import deadlines, submission
from registry.storage import artifacts
from registry.workers import membership
from registry.workers.membership import DrainMode
from worker import hardware
from worker.context import WorkerContext
from worker.housekeeping import clean_up, collect_garbage
from worker.webhook_sender import WebhookSender

_log = logging.getLogger(__name__)
LEADER_ROLE = "dispatcher"
_HINT_RESEND_AFTER = timedelta(seconds=5)
_CLEAN_UP_SECONDS = 30.0
_GARBAGE_SECONDS = 3600.0


class Dispatcher(Thread):
    """A thread that regularly reports that this worker is alive.

    If this worker is the leader, the thread also expires leases, wakes workers for which
    jobs are waiting, sends webhooks and removes old data.
    """

    def __init__(
        self,
        context: WorkerContext,
        worker_info: dict[str, Any],
        on_drain: Callable[[DrainMode], None] = lambda _: None,
    ) -> None:
        super().__init__(name="dispatcher", daemon=True)
        self._context = context
        self._worker_info = worker_info
        self._on_drain = on_drain  # called in each round after a drain was requested
        self._webhook_sender = WebhookSender(context)
        self._stop_event = Flag()
        self._clean_up_due = monotonic()
        self._garbage_due = monotonic() + _GARBAGE_SECONDS
        self._lease = timedelta(seconds=context.settings.liveness_seconds)

    def run(self) -> None:
        """Run rounds until `stop` is called. A failed round is logged, and the loop continues."""
        while not self._stop_event.is_set():
            try:
                self.run_once()
            except Exception:  # noqa: BLE001 - the loop must survive an unavailable store or database
                _log.exception("Dispatcher round failed")
            self._stop_event.wait(self._context.settings.dispatch_seconds)

    def register(self) -> None:
        """Register this worker before its first claim, so that every claim names a known worker."""
        with self._context.database.write() as session:
            membership.register(session, self._context.worker_id, self._worker_info)

    def stop(self) -> None:
        """End the loop and give up leadership, so that another worker can take over at once."""
        self._stop_event.set()
        self.join()
        try:
            with self._context.database.write() as session:
                membership.release_leadership(session, LEADER_ROLE, self._context.worker_id)
                membership.unregister(session, self._context.worker_id)
        except SQLAlchemyError as error:
            _log.warning("Could not unregister the worker: %s", error)

    def run_once(self) -> None:
        """Run one round."""
        devices = hardware.list_devices(self._context.settings)
        with self._context.database.write() as session:
            if not membership.record_heartbeat(session, self._context.worker_id, devices):
                membership.register(session, self._context.worker_id, self._worker_info)
            drain_mode = membership.get_drain_mode(session, self._context.worker_id)
            is_leader = membership.acquire_leadership(
                session, LEADER_ROLE, self._context.worker_id, self._lease
            )
        if drain_mode:
            self._on_drain(drain_mode)
        if is_leader:
            self._dispatch_jobs()
            self._webhook_sender.start()
        if is_leader and monotonic() >= self._clean_up_due:
            clean_up(self._context)
            self._clean_up_due = monotonic() + _CLEAN_UP_SECONDS
        if is_leader and monotonic() >= self._garbage_due:
            self._garbage_due = monotonic() + _GARBAGE_SECONDS
            collect_garbage(self._context)

    def _dispatch_jobs(self) -> None:
        with self._context.database.write() as session:
            work = maintenance.expire_leases(
                session, retry_after=timedelta(seconds=self._context.settings.retry_seconds)
            )
            deadlines.expire_waiting(session)
            promoted = [(job.queue, job.id) for job in submission.promote(session)]
            hints = maintenance.take_due_hints(
                session, resend_after=_HINT_RESEND_AFTER, alive_within=self._lease
            )
        for queue, job_id in dict.fromkeys([*work.hints, *promoted, *hints]):
            self._context.queue.send(queue, job_id)
        for digest in work.orphaned_digests:
            with self._context.database.write() as session:
                artifacts.delete_if_unreferenced(session, self._context.store, digest)
