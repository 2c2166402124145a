"""The heartbeat of an attempt: renews its lease, records updates and receives stop requests."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bind_contextvars

from registry.attempts import claims
from registry.attempts.claims import AttemptUpdate, Claim, MetricPoint, StopOrder
from registry.attempts.trainer_logs import MAX_LINES
from registry.errors import LeaseLost
from worker.context import WorkerContext

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
T = TypeVar("T")


class Heartbeat:
    """Sends heartbeats from a separate thread, so that the lease is kept during a long upload."""

    def __init__(self, context: WorkerContext, claim: Claim) -> None:
        self._context = context
        self._claim = claim
        self._update = AttemptUpdate()
        self._progress: dict[str, Any] = {}
        self._lock = Lock()  # guards the pending update and progress
        self._send_lock = Lock()  # one transaction at a time
        self._renewed_at = monotonic()
        self._stop_event = Flag()
        self.stop_order: StopOrder | None = None
        self._lost_event = Flag()
        self._thread = Thread(target=self._run, name=f"heartbeat-{claim.job_id}", daemon=True)

    def start(self) -> None:
        """Start sending heartbeats."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the heartbeat. Updates that are still pending are lost."""
        self._stop_event.set()
        self._thread.join()

    @property
    def lease_lost(self) -> bool:
        """Whether another worker has claimed the job, or may have claimed it by now."""
        return (
            self._lost_event.is_set()
            or monotonic() - self._renewed_at > self._context.settings.lease_seconds
        )

    def set_progress(self, **progress: Any) -> None:
        """Set progress values to send with the next heartbeat. Newer values replace older ones."""
        with self._lock:
            self._progress.update(progress)

    def add_event(self, kind: str, data: dict[str, Any]) -> None:
        with self._lock:
            self._update.events.append((kind, data))

    def add_point(self, point: MetricPoint) -> None:
        with self._lock:
            self._update.points.append(point)

    def add_log_lines(self, lines: list[str]) -> None:
        """Add lines from the trainer's log. Only the newest `MAX_LINES` pending lines are kept."""
        with self._lock:
            self._update.log_lines[:] = [*self._update.log_lines, *lines][-MAX_LINES:]

    def send(self) -> None:
        """Record pending updates and renew the lease now.

        If the database is unavailable, the updates stay pending.
        """
        with self._send_lock:
            with self._lock:
                update, progress = self._update, self._progress
                self._update, self._progress = AttemptUpdate(), {}
            started = monotonic()
            try:
                self._write_update(update, progress)
                self._renewed_at = started
            except LeaseLost:
                self._lost_event.set()
            except OperationalError as error:
                _log.warning("Heartbeat failed: %s", error.orig)
                with self._lock:
                    self._update = update + self._update
                    self._progress = {**progress, **self._progress}

    def write_with_retry(self, write: Callable[[Session], T]) -> T:
        """Run `write` in a transaction and retry it while the database is unavailable.

        Retries end when the lease is lost. If a commit succeeded but its confirmation was lost, the
        fencing token makes the retry fail with `LeaseLost`.
        """
        while True:
            try:
                with self._context.database.write() as session:
                    return write(session)
            except OperationalError as error:
                if self.lease_lost:
                    raise
                _log.warning("Database unavailable, retrying: %s", error.orig)
                sleep(_RETRY_SECONDS)

    def _run(self) -> None:
        # Each thread has its own logging context.
        bind_contextvars(
            job=self._claim.job_id, attempt=self._claim.attempt, worker=self._context.worker_id
        )
        while (
            not self._stop_event.wait(self._context.settings.heartbeat_seconds)
            and not self._lost_event.is_set()
        ):
            self.send()

    def _write_update(self, update: AttemptUpdate, progress: dict[str, Any]) -> None:
        lease = timedelta(seconds=self._context.settings.lease_seconds)
        with self._context.database.write() as session:
            if update:
                claims.record_update(session, self._claim, update)
            orders = claims.heartbeat(session, self._claim, lease=lease, progress_update=progress)
        self.stop_order = orders.stop
