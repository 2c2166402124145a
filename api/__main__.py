"""`python -m api`: serves the settings' database, queue and store. `dlkd up` and the container start it."""

import logging
import os
import socket
import sys

import uvicorn

from api.app import create_app
from registry.artifacts import Store
from registry.db import Database
from registry.queue import CeleryQueue
from registry.settings import Settings

SOCKET_VARIABLE = "DLKD_SOCKET"  # number of a listening socket that the parent opened and passed on
_DRAIN_SECONDS = 10


def main() -> int:
    """Serves until INT or TERM; open requests get some seconds to end."""
    inherited = os.environ.pop(SOCKET_VARIABLE, None)
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    database = Database(settings.database_url)
    try:
        app = create_app(settings, database, CeleryQueue(settings), Store(settings.store_url))
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # api.middleware.Names writes it, with the request's name
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(inherited))] if inherited else None)
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
