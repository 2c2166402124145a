"""`python -m api`: serves the settings' database, queue and store. `dlkd up` and the container start it."""

import logging
import os
import socket
import sys

import uvicorn
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api import tracing
from api.app import create_app
from registry import keys
from registry.addresses import is_loopback
from registry.db import Database
from registry.logbook import open_log
from registry.queue import CeleryQueue
from registry.settings import Settings, words
from registry.store import Store
from registry.tracing import TracingMissing

SOCKET_VARIABLE = "DLKD_SOCKET"  # number of a listening socket that the parent opened and passed on
_DRAIN_SECONDS = 10
_IDLE_SECONDS = 75  # of a connection; proxies keep theirs for 60, and then it is not cut while they send on it
_log = logging.getLogger(__name__)


def main() -> int:
    """Serves until INT or TERM; open requests get some seconds to end. 1 where it must not or cannot start."""
    inherited = os.environ.pop(SOCKET_VARIABLE, None)
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(words(error) + "\n")
        return 1
    open_log(settings)
    database = Database(settings.database_url)
    try:
        _refuse_to_serve_nobody(settings, database)
        _serve(settings, database, [socket.socket(fileno=int(inherited))] if inherited else None)
    except (PublicWithoutKey, TracingMissing) as error:
        _log.error("%s", error)
        return 1
    finally:
        database.close()
    return 0


def _serve(settings: Settings, database: Database, sockets: list[socket.socket] | None) -> None:
    store = Store(settings.store_url, public_url=settings.store_public_url)
    app = create_app(settings, database, CeleryQueue(settings), store)
    with tracing.traced(settings, database.engine, app):
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # api.middleware.Names writes it, with the request's name
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            timeout_keep_alive=_IDLE_SECONDS,
        )
        uvicorn.Server(config).run(sockets=sockets)


class PublicWithoutKey(Exception):
    """Other machines could call, and nobody has a key."""


def _refuse_to_serve_nobody(settings: Settings, database: Database) -> None:
    """A service that the world can reach and that has no key yet is not set up: say so before it looks as if it worked."""
    if is_loopback(settings.host):
        return
    try:
        with database.read() as session:
            if keys.any_exists(session):
                return
    except SQLAlchemyError as error:
        _log.warning("the database does not answer yet: %s", error)  # /readyz says so, too; without it no key is any good
        return
    raise PublicWithoutKey(
        f"{settings.host} can be reached from other machines and there is no key: run `dlkd key add NAME` first."
    )


if __name__ == "__main__":
    sys.exit(main())
