"""Hints: "there is something to do". They carry a queue's name and a job's id; the rows are the truth."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from registry.settings import Settings

TASK = "dlkd.wake"
_EXPIRES_SECONDS = 60  # the dispatcher sends what is still needed again
_log = logging.getLogger(__name__)


class Queue(Protocol):
    """Sends a hint after the commit. Never raises: a lost hint costs some seconds, nothing else."""

    def send(self, queue: str, job_id: str) -> None:
        """Wakes a worker of that queue."""

    def check(self) -> None:
        """Asks the broker for something; its own exception where it does not answer."""


class CeleryQueue:
    """Hints over Celery. The library is loaded with the first hint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _app(self) -> Any:
        return make_celery(self._settings)

    def send(self, queue: str, job_id: str) -> None:
        """Sends once and does not wait for a broker that is away: idle workers ask the database anyway."""
        try:
            hint = {"queue": queue, "job_id": job_id}
            self._app.send_task(
                TASK, kwargs=hint, queue=channel(queue), retry=False, ignore_result=True, expires=_EXPIRES_SECONDS
            )
        except Exception as error:  # noqa: BLE001 - brokers raise their clients' own errors; none of them may fail a request
            _log.warning("no hint sent for %s: %s", job_id, error)

    def check(self) -> None:
        """Connects, once, and does not wait long."""
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)


def channel(queue: str) -> str:
    """A queue's name at the broker, which others may use too."""
    return f"dlkd.{queue}"


def make_celery(settings: Settings) -> Any:
    """A Celery application of these settings: JSON only, early acknowledgement, one message at a time, no results."""
    from celery import Celery  # noqa: PLC0415 - half a second that only senders and workers pay

    logging.getLogger("kombu").setLevel(logging.WARNING)
    app = Celery("dlkd", broker=_broker(settings.broker_url), set_as_current=False)
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


def queue_folder(broker_url: str) -> Path | None:
    """The folder of a ``filesystem://`` broker."""
    parts = urlsplit(broker_url)
    return Path(unquote(parts.netloc + parts.path)) if parts.scheme == "filesystem" else None


def _broker(url: str) -> str:
    return url if queue_folder(url) is None else "filesystem://"


def _transport_options(url: str) -> dict[str, Any]:
    folder = queue_folder(url)
    if folder is None:
        # A broker that is away must not hold up the request that sends a hint.
        return {"socket_connect_timeout": 2, "socket_timeout": 10} if url.startswith("redis") else {}
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
