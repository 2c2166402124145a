"""The worker's ear: a Celery consumer in a thread. Nothing depends on it but the speed of the first reaction."""

import logging
from threading import Thread
from typing import Any

from celery import signals
from celery.worker import WorkController

from registry.queue import channel, make_celery
from registry.settings import Settings
from worker.slots import Slots
from worker.tasks import register

_log = logging.getLogger(__name__)
_STOP_SECONDS = 3.0


class Ear:
    """Listens for hints on the queues of the slots."""

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self._app = make_celery(settings)
        self._app.set_default()  # where the pool's thread looks the task up
        register(self._app, slots)
        queues = [channel(offer.queue) for offer in slots.offers]
        # The plain controller: no signal handlers, no banner. The rows tell who is alive, so no gossip either.
        self._controller: Any = WorkController(
            app=self._app,
            pool="threads",
            concurrency=1,
            queues=queues,
            loglevel=logging.WARNING,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._thread = Thread(target=self._run, name="ear", daemon=True)

    def start(self) -> None:
        """Begins to listen; a broker that is away is tried again and again."""
        signals.setup_logging.connect(_keep_logging, weak=False)
        self._thread.start()

    def stop(self) -> None:
        """Listens no more. A consumer that hangs on its broker is left behind: it holds nothing."""
        self._controller.stop()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._controller.start()
        except Exception:  # noqa: BLE001 - brokers raise their clients' own errors; the slots work on without it
            _log.exception("the queue is deaf; jobs are found by asking the database")


def _keep_logging(**_: Any) -> None:
    """Celery would replace the program's logging."""
