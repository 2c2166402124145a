"""Files that clients send: in the request itself, read as they come, or before, by an upload that the request names.

Either way they are judged by their first bytes, and kept only if the whole form is right.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from api.deps import Services
from api.multipart import MAX_PARTS, FormInvalid, Part, parts
from api.reception import reception
from dlkd_core.errors import DistillationError
from registry import resumable
from registry.access import Principal
from registry.errors import RegistryError
from registry.store import Stored, Writer
from registry.tables import Upload

HEAD_BYTES = 64 * 1024
_DRAIN_BYTES = 64 * 2**20
_FORM_BYTES = 2**20  # boundaries, headers and text fields beside the file
_JSON, _ENCODED = "application/json", "application/x-www-form-urlencoded"

F = TypeVar("F", bound=BaseModel)
R = TypeVar("R")
Sniff = Callable[[bytes], str]


@dataclass(frozen=True)
class Received(Generic[F]):
    """A form whose file is in the store; `upload_id` names the upload that brought it, where it came before."""

    fields: F
    filename: str
    format: str
    stored: Stored
    upload_id: str | None = None


def body_limit(max_upload_bytes: int) -> int:
    """What a whole form may measure so that its file may measure `max_upload_bytes`."""
    return max_upload_bytes + _FORM_BYTES


def form_body(form: type[BaseModel], file: str) -> dict[str, Any]:
    """The OpenAPI of a route that reads its form itself: the fields of `form`, and the part `file` or an `upload_id`."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    sent = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream", "description": file}
    named = {"type": "string", "description": "Of a finished upload (POST /v1/uploads), in place of the file"}
    known: dict[str, Any] = {**schema, "properties": {"upload_id": named} | schema["properties"], "required": ["upload_id"]}
    whole = {**schema, "properties": {"file": sent} | schema["properties"], "required": ["file"]}
    content = {"multipart/form-data": {"schema": whole}, _JSON: {"schema": known}, _ENCODED: {"schema": known}}
    return {"requestBody": {"required": True, "content": content}}


async def in_upload_thread(work: Callable[[], R], limiter: CapacityLimiter) -> R:
    """Runs the work in one of the few threads for uploads, so that slow ones hold up nothing but each other."""
    return await to_thread.run_sync(work, limiter=limiter)


def receive(request: Request, services: Services, caller: Principal, sniff: Sniff, form: type[F]) -> Received[F]:
    """The form of the request with its file stored, sent with it or before. Where anything is wrong, nothing is kept.

    Raises:
        FormInvalid: not a form, or without a file.
        UploadTooLarge: more bytes in the file than the service takes.
        UploadUnknown, UploadUnfinished: the upload that it names.
        DistillationError: what `sniff` says of the file's first bytes.
        RequestValidationError: fields that do not fit `form`.
    """
    body = body_of(request)
    try:
        with ExitStack() as stack:
            read = _read(request.headers.get("content-type", ""), body, _Sink(stack, services, sniff))
            upload_id = _named(read)
            checked = _check(form, read.fields)
    except (RegistryError, DistillationError, RequestValidationError):
        drain(body)
        raise
    if upload_id is not None:
        return _sent_before(services, caller, upload_id, sniff, checked)
    filename, kind, writer = cast("_File", read.file)
    return Received(checked, filename, kind, writer.stored)


@dataclass
class _Sink:
    """Where the file of a form goes: a place is made only once there is one."""

    stack: ExitStack
    services: Services
    sniff: Sniff

    def write(self, part: Part) -> tuple[str, Writer]:
        limit = self.services.settings.max_upload_bytes
        writer = self.stack.enter_context(self.services.store.writer(limit=limit))
        return _write(part, writer, self.sniff), writer


_File = tuple[str, str, Writer]  # name, format, bytes


@dataclass
class _Read:
    """What a form holds: its fields, and perhaps a file."""

    fields: dict[str, Any]
    file: _File | None = None


def _read(content_type: str, body: Iterator[bytes], sink: _Sink) -> _Read:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _JSON:
        return _Read(_object(_small(body)))
    if kind == _ENCODED:
        return _Read(dict(parse_qsl(_small(body).decode("utf-8", errors="replace"), max_num_fields=MAX_PARTS)))
    read = _Read({})
    for part in parts(content_type, body):
        if part.name != "file":
            read.fields[part.name] = part.text()
        elif read.file is not None:
            raise FormInvalid("The form has two parts called file.", pointer="/file")
        else:
            read.file = (plain_name(part.filename), *sink.write(part))
    return read


def _named(read: _Read) -> str | None:
    """The upload that stands for the file; None where the file is there."""
    upload_id = read.fields.pop("upload_id", None) or None
    if (read.file is None) == (upload_id is None):
        both = "both a part called file and" if upload_id else "no part called file and no"
        raise FormInvalid(f"The form has {both} upload_id.", pointer="/file")
    if not isinstance(upload_id, str | None):
        raise FormInvalid("The upload_id is no text.", pointer="/upload_id")
    return upload_id


def _small(body: Iterator[bytes]) -> bytes:
    """A whole body that holds no file."""
    content = b""
    for chunk in body:
        content += chunk
        if len(content) > _FORM_BYTES:
            raise FormInvalid(f"The body is longer than {_FORM_BYTES} bytes and holds no file.")
    return content


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = from_json(content)
    except ValueError as error:
        raise FormInvalid(f"The body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormInvalid("The body is no JSON object.")
    return value


def _sent_before(services: Services, caller: Principal, upload_id: str, sniff: Sniff, fields: F) -> Received[F]:
    upload = _finished(services, caller, upload_id)
    if upload.digest is None:
        with reception(services, upload_id, caller.id) as held:
            held.end()
        upload = _finished(services, caller, upload_id)
    stored = Stored(str(upload.digest), upload.size)
    head = b"".join(services.store.read(stored.digest, 0, min(HEAD_BYTES, stored.size)))
    return Received(fields, upload.filename, _judged(sniff, head, "/upload_id"), stored, upload_id)


def _finished(services: Services, caller: Principal, upload_id: str) -> Upload:
    with services.database.read() as session:
        return resumable.finished(session, upload_id, visible=caller.visible)


def plain_name(filename: str | None) -> str:
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


def _judged(sniff: Sniff, head: bytes, pointer: str = "/file") -> str:
    try:
        return sniff(head)
    except DistillationError as error:
        error.pointer = pointer
        raise


def _check(form: type[F], fields: dict[str, Any]) -> F:
    fields = {
        name: value for name, value in fields.items() if value not in ("", None)
    }  # browsers send fields that were left empty
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        errors = [{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors(include_url=False)]
        raise RequestValidationError(errors, body=fields) from error


def body_of(request: Request) -> Iterator[bytes]:
    """The request's body, fetched from the event loop piece by piece."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := from_thread.run(following)) is not None:
        yield chunk


def drain(body: Iterator[bytes]) -> None:
    """Reads on for a while: a client that is cut off while it sends may never see why it was refused."""
    seen = 0
    try:
        for chunk in body:
            seen += len(chunk)
            if seen > _DRAIN_BYTES:
                return
    except (ClientDisconnect, RuntimeError):
        return
