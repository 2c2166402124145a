"""Helper that calls an ASGI application directly, to control how the request body arrives."""

from typing import Any

import anyio
from fastapi import FastAPI


def call_app(
    app: FastAPI, method: str, path: str, headers: list[tuple[bytes, bytes]], receive: Any
) -> int:
    """Send a request with the given `receive` function and return the response status."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    anyio.run(app, scope, receive, send)
    return statuses[0]
