"""The application called directly, where a test must see how its body is read."""

from typing import Any

import anyio
from fastapi import FastAPI


def status_of(app: FastAPI, method: str, path: str, headers: list[tuple[bytes, bytes]], receive: Any) -> int:
    """The status of an answer, with a `receive` that sees whether it is called."""
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
    seen: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    anyio.run(app, scope, receive, send)
    return seen[0]
