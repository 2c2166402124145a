"""The heartbeat of an attempt: renews the lease, carries the news to the rows, and brings back the orders."""

import logging
from datetime import timedelta
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic
from typing import Any

from sqlalchemy.exc import OperationalError
from structlog.contextvars import bind_contextvars

from registry import claims
from registry.claims import Claim, News, Order, Point
from registry.errors import Fenced
from registry.logs import KEPT_LINES
from worker.kit import Kit

_log = logging.getLogger(__name__)


class Pulse:
    """Beats in a thread of its own, so that a long upload or a slow trainer never costs the lease."""

    def __init__(self, kit: Kit, claim: Claim) -> None:
        self._kit = kit
        self._claim = claim
        self._news = News()
        self._facts: dict[str, Any] = {}
        self._lock = Lock()  # of the news
        self._beating = Lock()  # one transaction at a time
        self._renewed = monotonic()
        self._done = Flag()
        self.order: Order | None = None  # the newest
        self._lost = Flag()
        self._thread = Thread(target=self._run, name=f"pulse of {claim.job_id}", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beats no more; what was not written by then is lost."""
        self._done.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether another worker has the job, or may have it by now."""
        return self._lost.is_set() or monotonic() - self._renewed > self._kit.settings.lease_seconds

    def progress(self, **facts: Any) -> None:
        """The newest facts replace older ones."""
        with self._lock:
            self._facts.update(facts)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """Something that happened."""
        with self._lock:
            self._news.events.append((kind, data))

    def point(self, point: Point) -> None:
        """Something that was measured."""
        with self._lock:
            self._news.points.append(point)

    def log(self, lines: list[str]) -> None:
        """Lines that the trainer wrote; of very many that could not be written yet the newest."""
        with self._lock:
            self._news.lines[:] = [*self._news.lines, *lines][-KEPT_LINES:]

    def beat(self) -> None:
        """Writes the news and renews the lease now; keeps the news where the database does not answer."""
        with self._beating:
            news, facts = self._take()
            started = monotonic()
            try:
                self._write(news, facts)
                self._renewed = started
            except Fenced:
                self._lost.set()
            except OperationalError as error:
                _log.warning("heartbeat of %s failed: %s", self._claim.job_id, error.orig)
                self._put_back(news, facts)

    def _run(self) -> None:
        bind_contextvars(job=self._claim.job_id, attempt=self._claim.attempt, worker=self._kit.worker_id)  # a thread has its own
        while not self._done.wait(self._kit.settings.heartbeat_seconds) and not self._lost.is_set():
            self.beat()

    def _take(self) -> tuple[News, dict[str, Any]]:
        with self._lock:
            news, facts = self._news, self._facts
            self._news, self._facts = News(), {}
            return news, facts

    def _put_back(self, news: News, facts: dict[str, Any]) -> None:
        with self._lock:
            self._news = news + self._news
            self._facts = {**facts, **self._facts}

    def _write(self, news: News, facts: dict[str, Any]) -> None:
        lease = timedelta(seconds=self._kit.settings.lease_seconds)
        with self._kit.database.write() as session:
            if news:
                claims.record(session, self._claim, news)
            orders = claims.heartbeat(session, self._claim, lease=lease, facts=facts)
        self.order = orders.stop
