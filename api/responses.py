"""Helpers for responses: headers, conditional requests and streamed zip archives."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

OCTET_STREAM = "application/octet-stream"
ZIP = "application/zip"
MARKDOWN = "text/markdown"
EVENT_STREAM = "text/event-stream"
WEBP = "image/webp"
REVALIDATE = "private, no-cache"  # Cache-Control: keep a copy, but revalidate it on every use

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # fixed date, so that equal contents yield equal archives


def add_headers(headers: Mapping[str, str], send: Send) -> Send:
    """Return an ASGI `send` function that adds headers to the response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers


def with_location(response: Response, path: str, resource: dict[str, Any]) -> dict[str, Any]:
    """Set the Location header to the URL of a new resource, and return the resource."""
    response.headers["Location"] = f"{path}/{resource['id']}"
    return resource


def not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """Return a 304 response if If-None-Match contains the ETag of `headers` (RFC 9110, 13.1.2).

    The comparison is weak: a leading `W/` is ignored.
    """
    header = request.headers.get("if-none-match", "")
    candidates = {candidate.strip().removeprefix("W/") for candidate in header.split(",")}
    if candidates & {"*", headers["ETag"].removeprefix("W/")}:
        return Response(status_code=304, headers=dict(headers))
    return None


def stream_zip(members: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yield the bytes of a zip archive of (name, chunks) members as they are written.

    The complete archive is never in memory or on disk. Members are stored uncompressed, because
    weights hardly compress.
    """
    buffer = _ChunkBuffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, chunks in members:
            with archive.open(zipfile.ZipInfo(name, _ZIP_EPOCH), "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)
                    yield buffer.drain()
            yield buffer.drain()
    yield buffer.drain()


class _ChunkBuffer(io.RawIOBase):
    """Write buffer that is emptied by `drain`.

    The buffer is not seekable. `zipfile` therefore writes the size of each member after its data.
    """

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes
        self._chunks.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        """Return the bytes written since the last call."""
        data, self._chunks = b"".join(self._chunks), []
        return data
