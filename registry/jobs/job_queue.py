"""Job queue: messages that wake workers when a job can be claimed.

A message carries the name of a queue and the id of a job. Workers decide from the database alone
which job to claim, so a lost message causes only a delay.
"""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from registry.settings import Settings

WAKE_TASK = "dlkd.wake"
_MESSAGE_TTL_SECONDS = 60  # the dispatcher resends messages that are still needed
_log = logging.getLogger(__name__)


class JobQueue(Protocol):
    """Sender of queue messages. It is used after a commit.

    Sending never raises an error, because a lost message only delays the job by a few seconds.
    """

    def send(self, queue: str, job_id: str) -> None:
        """Wake a worker that serves the queue."""

    def check(self) -> None:
        """Connect to the broker. Raises the broker library's exception if this fails."""


class CeleryJobQueue:
    """Job queue based on Celery. Celery is imported when the first message is sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _app(self) -> Any:
        return make_celery(self._settings)

    def send(self, queue: str, job_id: str) -> None:
        """Send a message once, without waiting for an unavailable broker.

        If the message is lost, an idle worker finds the job when it polls the database.
        """
        try:
            self._app.send_task(
                WAKE_TASK,
                kwargs={"queue": queue, "job_id": job_id},
                queue=broker_queue_name(queue),
                retry=False,
                ignore_result=True,
                expires=_MESSAGE_TTL_SECONDS,
            )
        except Exception as error:  # noqa: BLE001 - each broker raises its own errors, and none may fail a request
            _log.warning("Queue message for job %s not sent: %s", job_id, error)

    def check(self) -> None:
        """Connect to the broker, with one retry and a short timeout."""
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)


def broker_queue_name(queue: str) -> str:
    """Return the queue's name at the broker.

    It has a prefix, because other programs may use the same broker.
    """
    return f"dlkd.{queue}"


def make_celery(settings: Settings) -> Any:
    """Create a Celery application for the settings.

    It uses JSON only, acknowledges early, prefetches one message and stores no results.
    """
    # The import takes half a second. Programs that neither send messages nor run a worker skip it.
    from celery import Celery  # noqa: PLC0415 - see above

    logging.getLogger("kombu").setLevel(logging.WARNING)
    is_filesystem = filesystem_broker_folder(settings.broker_url) is not None
    celery_url = "filesystem://" if is_filesystem else settings.broker_url
    app = Celery("dlkd", broker=celery_url, set_as_current=False)
    if is_filesystem:
        app.conf.broker_transport = "registry.jobs.file_transport:FileTransport"
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(settings.broker_url),
    )
    return app


def filesystem_broker_folder(broker_url: str) -> Path | None:
    """Return the folder of a ``filesystem://`` broker, or None for other brokers."""
    parts = urlsplit(broker_url)
    return Path(unquote(parts.netloc + parts.path)) if parts.scheme == "filesystem" else None


def _transport_options(url: str) -> dict[str, Any]:
    folder = filesystem_broker_folder(url)
    if folder is None:
        # An unavailable broker must not block the request that sends a message.
        return (
            {"socket_connect_timeout": 2, "socket_timeout": 10} if url.startswith("redis") else {}
        )
    options: dict[str, Any] = {"store_processed": True}
    for option, name in {
        "data_folder_in": "messages",
        "data_folder_out": "messages",
        "processed_folder": "processed",
        "control_folder": "control",
    }.items():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        options[option] = str(path)
    folder.chmod(0o700)
    return options
