"""A Celery consumer that wakes idle slots when a job is queued.

The messages that wake slots are called hints. Slots also poll the database, so lost hints only
delay jobs a little.
"""

import logging
from threading import Event, Thread
from typing import Any

from celery import signals
from celery.worker import WorkController

from registry.jobs.job_queue import WAKE_TASK, broker_queue_name, make_celery
from registry.settings import Settings
from worker.slot_threads import Slots

_log = logging.getLogger(__name__)
_STOP_SECONDS = 3.0
_RESTART_SECONDS = 5.0


class HintConsumer:
    """Consumes hints from the broker queues that the worker's slots serve."""

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self._app = make_celery(settings)
        self._app.set_default()  # the pool's thread looks up the task in the default app
        self._register_wake_task(slots)
        self._queues = [broker_queue_name(capacity.queue) for capacity in slots.capacity]
        self._controller = self._create_controller()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="hint-consumer", daemon=True)

    def start(self) -> None:
        """Start consuming. The connection is retried while the broker is unavailable."""
        signals.setup_logging.connect(_keep_logging_config, weak=False)
        self._thread.start()

    def stop(self) -> None:
        """Stop consuming.

        A thread that hangs while waiting for the broker is abandoned, as it holds no resources.
        """
        self._stopping.set()
        self._controller.stop()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        """Consume until `stop` is called. Start again if Celery gives up after an error."""
        while True:
            try:
                self._controller.start()  # Celery logs most errors itself and returns
            except Exception:  # noqa: BLE001 - each broker client raises its own errors
                _log.exception("Hint consumer failed")
            if self._stopping.is_set():
                return
            _log.warning(
                "The hint consumer has stopped. Slots poll the database until it starts again "
                "in %.0f s.",
                _RESTART_SECONDS,
            )
            if self._stopping.wait(_RESTART_SECONDS):
                return
            self._controller = self._create_controller()

    def _create_controller(self) -> Any:
        # WorkController itself installs no signal handlers and prints no banner. The database
        # records which workers are alive, so Celery's heartbeat, mingle and gossip are off.
        return WorkController(
            app=self._app,
            pool="threads",
            concurrency=1,
            queues=self._queues,
            loglevel=logging.WARNING,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )

    def _register_wake_task(self, slots: Slots) -> None:
        @self._app.task(name=WAKE_TASK, ignore_result=True, shared=False)  # type: ignore[untyped-decorator] # Celery publishes no types
        def wake(queue: str, job_id: str) -> None:  # noqa: ARG001 - slots claim the best job, not the named one
            slots.wake(queue)


def _keep_logging_config(**_: Any) -> None:
    """Handle Celery's logging signal, so that Celery keeps the existing logging configuration."""
