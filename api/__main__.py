"""Entry point of the API server. `dlkd up` and the container run it as `python -m api`."""

import logging
import os
import socket
import sys

import uvicorn
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.observability import tracing
from registry.access import api_keys
from registry.access.address_checks import is_loopback
from registry.db.database import Database
from registry.jobs.job_queue import CeleryJobQueue
from registry.observability.logging_setup import configure_logging
from registry.observability.tracing import TracingUnavailable
from registry.settings import Settings, format_errors
from registry.storage.object_store import Store

# File descriptor of a listening socket that the parent process opened.
SOCKET_FD_VARIABLE = "DLKD_SOCKET"
_GRACEFUL_SHUTDOWN_SECONDS = 10
# Longer than the 60 seconds that are common for proxies. Proxies then close idle connections first,
# and never send a request over a connection that the server has just closed.
_KEEP_ALIVE_SECONDS = 75
_log = logging.getLogger(__name__)


class PublicHostWithoutKey(Exception):
    """The server is reachable from other machines, but no API key exists yet."""


def main() -> int:
    """Serve until SIGINT or SIGTERM, and return the exit status.

    The status is 1 if the server cannot start. Open requests get a few seconds to finish.
    """
    socket_fd = os.environ.pop(SOCKET_FD_VARIABLE, None)
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(format_errors(error) + "\n")
        return 1
    configure_logging(settings)
    database = Database(settings.database_url)
    try:
        _require_key_for_public_host(settings, database)
        _serve(settings, database, [socket.socket(fileno=int(socket_fd))] if socket_fd else None)
    except (PublicHostWithoutKey, TracingUnavailable) as error:
        _log.error("%s", error)
        return 1
    finally:
        database.close()
    return 0


def _serve(settings: Settings, database: Database, sockets: list[socket.socket] | None) -> None:
    store = Store(settings.store_url, public_url=settings.store_public_url)
    app = create_app(settings, database, CeleryJobQueue(settings), store)
    with tracing.trace_app(settings, database.engine, app):
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            # RequestIdMiddleware writes the access log, with the request id.
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        uvicorn.Server(config).run(sockets=sockets)


def _require_key_for_public_host(settings: Settings, database: Database) -> None:
    """Refuse to serve on a public address before the first API key exists.

    Without a key, the service would seem to work but reject every request.
    """
    if is_loopback(settings.host):
        return
    try:
        with database.read() as session:
            if api_keys.any_exists(session):
                return
    except SQLAlchemyError as error:
        # Not fatal: without the database every key is rejected, and /readyz reports the outage.
        _log.warning("Database is not available yet: %s", error)
        return
    raise PublicHostWithoutKey(
        f"Listening on {settings.host} makes the service reachable from other machines, but there"
        " is no API key yet. Run `dlkd key add NAME` first."
    )


if __name__ == "__main__":
    sys.exit(main())
