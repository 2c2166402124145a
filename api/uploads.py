"""Files that clients send: read as they come, judged by their first bytes, and kept only if the whole form is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar

from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from api.multipart import FormInvalid, Part, parts
from dlkd_core.errors import DistillationError
from registry.artifacts import Store, Stored, Writer
from registry.errors import RegistryError

HEAD_BYTES = 64 * 1024
_DRAIN_BYTES = 64 * 2**20
_FORM_BYTES = 2**20  # boundaries, headers and text fields beside the file

F = TypeVar("F", bound=BaseModel)
R = TypeVar("R")
Sniff = Callable[[bytes], str]


@dataclass(frozen=True)
class Received(Generic[F]):
    """A form whose file is in the store."""

    fields: F
    filename: str
    format: str
    stored: Stored


def body_limit(max_upload_bytes: int) -> int:
    """What a whole form may measure so that its file may measure `max_upload_bytes`."""
    return max_upload_bytes + _FORM_BYTES


def form_body(form: type[BaseModel], file: str) -> dict[str, Any]:
    """The OpenAPI of a route that reads its form itself: the fields of `form`, and the part `file`."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    properties = {
        "file": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream", "description": file}
    }
    schema = {**schema, "required": ["file"], "properties": properties | schema["properties"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def in_upload_thread(work: Callable[[], R], limiter: CapacityLimiter) -> R:
    """Runs the work in one of the few threads for uploads, so that slow ones hold up nothing but each other."""
    return await to_thread.run_sync(work, limiter=limiter)


def receive(request: Request, store: Store, limit: int, sniff: Sniff, form: type[F]) -> Received[F]:
    """The form of the request with its part `file` stored. Where anything is wrong, nothing is kept.

    Raises:
        FormInvalid: not a form, or without a file.
        UploadTooLarge: more than `limit` bytes in the file.
        DistillationError: what `sniff` says of the file's first bytes.
        RequestValidationError: fields that do not fit `form`.
    """
    body = _body(request)
    try:
        with store.writer(limit=limit) as writer:
            filename, kind, fields = _read(request.headers.get("content-type", ""), body, writer, sniff)
            checked = _check(form, fields)
    except (RegistryError, DistillationError, RequestValidationError):
        _drain(body)
        raise
    return Received(checked, filename, kind, writer.stored)


def _read(content_type: str, body: Iterator[bytes], writer: Writer, sniff: Sniff) -> tuple[str, str, dict[str, str]]:
    """File name and format of the part `file`, and the text fields by name."""
    file: tuple[str, str] | None = None
    fields: dict[str, str] = {}
    for part in parts(content_type, body):
        if part.name != "file":
            fields[part.name] = part.text()
        elif file is not None:
            raise FormInvalid("The form has two parts called file.", pointer="/file")
        else:
            file = (_plain(part.filename), _write(part, writer, sniff))
    if file is None:
        raise FormInvalid("The form has no part called file.", pointer="/file")
    return *file, fields


def _plain(filename: str | None) -> str:
    """The last part of the name that the client gave: shown to people, never opened."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[-200:] or "file"


def _write(part: Part, writer: Writer, sniff: Sniff) -> str:
    """Copies the part; its format, judged as soon as enough of it is there."""
    head = b""
    for piece in part.data:
        head += piece
        if len(head) >= HEAD_BYTES:
            break
    kind = _judged(sniff, head)
    writer.write(head)
    for piece in part.data:
        writer.write(piece)
    return kind


def _judged(sniff: Sniff, head: bytes) -> str:
    try:
        return sniff(head)
    except DistillationError as error:
        error.pointer = "/file"
        raise


def _check(form: type[F], fields: dict[str, str]) -> F:
    fields = {name: text for name, text in fields.items() if text}  # browsers send fields that were left empty
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        errors = [{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors(include_url=False)]
        raise RequestValidationError(errors, body=fields) from error


def _body(request: Request) -> Iterator[bytes]:
    """The request's body, fetched from the event loop piece by piece."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := from_thread.run(following)) is not None:
        yield chunk


def _drain(body: Iterator[bytes]) -> None:
    """Reads on for a while: a client that is cut off while it sends may never see why it was refused."""
    seen = 0
    try:
        for chunk in body:
            seen += len(chunk)
            if seen > _DRAIN_BYTES:
                return
    except (ClientDisconnect, RuntimeError):
        return
