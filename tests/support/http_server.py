"""A small HTTP server that stands in for an external service, such as a webhook receiver."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Thread
from typing import Any


@contextmanager
def run_http_server(
    handler: type[BaseHTTPRequestHandler], tls: SSLContext | None = None
) -> Iterator[int]:
    """Run a server on the loopback interface within the `with` block and yield its port.

    If `tls` is set, the server uses HTTPS.
    """

    class QuietHandler(handler):  # type: ignore[misc, valid-type]  # the base class is a parameter
        def log_message(self, *_arguments: Any) -> None:
            """Log nothing, to keep requests out of the test output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
