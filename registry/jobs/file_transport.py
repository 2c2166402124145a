"""Kombu's filesystem transport, in which readers never see half of a file.

Kombu writes messages and bindings in place. A process that reads such a file too early, or after
the writer was killed, finds incomplete JSON. Celery treats this as an unrecoverable error.
"""

import logging
import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

_log = logging.getLogger(__name__)
_KombuChannel: Any = filesystem.Channel  # kombu publishes no types


class FileChannel(_KombuChannel):  # type: ignore[misc] # see above
    """Channel that writes messages atomically and skips the ones that it cannot read."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        path = Path(self.data_folder_out) / name
        partial = path.with_name(f"{name}.partial")
        partial.write_text(dumps(payload))  # type: ignore[no-untyped-call] # see above
        partial.replace(path)

    def _get(self, queue: str) -> Any:
        """Return the next readable message. Raises `queue.Empty` if there is none."""
        while True:
            try:
                return super()._get(queue)
            except ValueError as error:
                # Kombu has already moved the message to the folder of processed messages.
                _log.warning("Skipped an unreadable message of the queue %s: %s", queue, error)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except ValueError:
            self._exchange_file(exchange).unlink(missing_ok=True)
            super()._queue_bind(exchange, routing_key, pattern, queue)


class FileTransport(filesystem.Transport):
    """Transport with `FileChannel` channels, for Celery's `broker_transport` setting."""

    Channel = FileChannel
