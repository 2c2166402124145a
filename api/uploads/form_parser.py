"""Parser for forms that contain a file or the id of a finished upload.

The file is streamed to the store. Its first bytes decide whether it is accepted. It is kept only if
the whole form is valid.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl

from anyio import from_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from api.deps import Services
from api.problems import validate_body
from api.responses import OCTET_STREAM
from api.uploads.multipart import MAX_PARTS, FormInvalid, FormPart, iter_parts, sanitize_filename
from api.uploads.upload_writer import open_upload_writer
from dlkd_core.errors import DistillationError
from registry.access.permissions import Principal
from registry.db.input_tables import Upload
from registry.errors import RegistryError
from registry.storage.object_store import StoredFile, StoreWriter
from registry.uploads import resumable_uploads

HEAD_BYTES = 64 * 1024  # the format of a file is detected from this many bytes
_MAX_DRAIN_BYTES = 64 * 2**20
_MAX_FIELD_BYTES = 2**20  # boundaries, headers and text fields in addition to the file
_JSON, _FORM_URLENCODED = "application/json", "application/x-www-form-urlencoded"

FormT = TypeVar("FormT", bound=BaseModel)
Sniff = Callable[[bytes], str]  # returns the format of a file from its first bytes


@dataclass(frozen=True)
class ReceivedForm(Generic[FormT]):
    """A form whose file is in the store."""

    fields: FormT
    filename: str
    format: str
    stored: StoredFile
    upload_id: str | None = None  # finished upload that contained the file


def get_max_body_bytes(max_upload_bytes: int) -> int:
    """Return the maximum size of a form that may contain a file of `max_upload_bytes`."""
    return max_upload_bytes + _MAX_FIELD_BYTES


def build_form_openapi(form: type[BaseModel], file_description: str) -> dict[str, Any]:
    """Return the OpenAPI request body for a route that calls `receive_form`.

    The body has the fields of `form`, and either a part named `file` or an `upload_id`.
    """
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)

    def content_with(name: str, source: dict[str, str]) -> dict[str, Any]:
        properties = {name: source, **schema["properties"]}
        return {"schema": {**schema, "properties": properties, "required": [name]}}

    file = {
        "type": "string",
        "format": "binary",
        "contentMediaType": OCTET_STREAM,
        "description": file_description,
    }
    upload_id = {
        "type": "string",
        "description": "Id of a finished upload (`POST /v1/uploads`) that contains the file.",
    }
    content = {
        "multipart/form-data": content_with("file", file),
        _JSON: content_with("upload_id", upload_id),
        _FORM_URLENCODED: content_with("upload_id", upload_id),
    }
    return {"requestBody": {"required": True, "content": content}}


def receive_form(
    request: Request, services: Services, caller: Principal, sniff: Sniff, form: type[FormT]
) -> ReceivedForm[FormT]:
    """Store a form's file and return the form. If anything is invalid, nothing is kept.

    Raises:
        FormInvalid: The body is not a form, or it has neither a file nor an upload id.
        UploadTooLarge: The file is larger than the service accepts.
        UploadUnknown: There is no upload with this id.
        UploadUnfinished: The upload is incomplete.
        DistillationError: `sniff` rejects the file.
        RequestValidationError: The fields do not match `form`.
    """
    body = iter_body(request)
    with drain_on_error(body), ExitStack() as stack:

        def store_file(part: FormPart) -> tuple[str, StoreWriter]:
            limit = services.settings.max_upload_bytes
            writer = stack.enter_context(services.store.writer(limit=limit))
            return _copy_part(part, writer, sniff), writer

        parsed = _parse_form(request.headers.get("content-type", ""), body, store_file)
        upload_id = _pop_upload_id(parsed)
        # Browsers also send fields that the user left empty.
        fields = {name: value for name, value in parsed.fields.items() if value not in ("", None)}
        validated = validate_body(form, fields)
    if upload_id is not None:
        return _use_finished_upload(services, caller, upload_id, sniff, validated)
    filename, file_format, writer = cast("_StoredFile", parsed.file)
    return ReceivedForm(validated, filename, file_format, writer.stored)


@contextmanager
def drain_on_error(body: Iterator[bytes]) -> Iterator[None]:
    """Read the rest of the body, up to a limit, if the `with` block raises an error.

    If the rest were not read, a client that is still sending the body might never see the error
    response.
    """
    try:
        yield
    except (RegistryError, DistillationError, RequestValidationError):
        drained = 0
        with suppress(ClientDisconnect, RuntimeError):
            for chunk in body:
                drained += len(chunk)
                if drained > _MAX_DRAIN_BYTES:
                    break
        raise


def iter_body(request: Request) -> Iterator[bytes]:
    """Yield the chunks of the request body. Must be called from a worker thread.

    The event loop receives the chunks and passes them to this thread.
    """
    stream = request.stream()

    async def next_chunk() -> bytes | None:
        return await anext(stream, None)

    while (chunk := from_thread.run(next_chunk)) is not None:
        yield chunk


_StoredFile = tuple[str, str, StoreWriter]  # (filename, format, writer)


@dataclass
class _ParsedForm:
    fields: dict[str, Any]
    file: _StoredFile | None = None


def _parse_form(
    content_type: str,
    body: Iterator[bytes],
    store_file: Callable[[FormPart], tuple[str, StoreWriter]],
) -> _ParsedForm:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _JSON:
        return _ParsedForm(_parse_json_object(_read_small_body(body)))
    if media_type == _FORM_URLENCODED:
        query = _read_small_body(body).decode("utf-8", errors="replace")
        if query.count("&") >= MAX_PARTS:
            raise FormInvalid(f"The form has more than {MAX_PARTS} parts.")
        return _ParsedForm(dict(parse_qsl(query)))
    parsed = _ParsedForm({})
    for part in iter_parts(content_type, body):
        if part.name != "file":
            parsed.fields[part.name] = part.read_text()
        elif parsed.file is not None:
            raise FormInvalid("The form has two parts named `file`.", pointer="/file")
        else:
            parsed.file = (sanitize_filename(part.filename), *store_file(part))
    return parsed


def _pop_upload_id(form: _ParsedForm) -> str | None:
    """Remove and return the upload id, or return None if the form has a file."""
    upload_id = form.fields.pop("upload_id", None) or None
    if (form.file is None) == (upload_id is None):
        message = (
            "The form has both a part named `file` and an `upload_id`. Send only one of them."
            if upload_id
            else "The form has neither a part named `file` nor an `upload_id`."
        )
        raise FormInvalid(message, pointer="/file")
    if not isinstance(upload_id, str | None):
        raise FormInvalid("The upload_id is not a string.", pointer="/upload_id")
    return upload_id


def _read_small_body(body: Iterator[bytes]) -> bytes:
    """Return the whole body of a form without a file."""
    content = b""
    for chunk in body:
        content += chunk
        if len(content) > _MAX_FIELD_BYTES:
            raise FormInvalid(
                f"A body without a file must not be longer than {_MAX_FIELD_BYTES} bytes."
            )
    return content


def _parse_json_object(content: bytes) -> dict[str, Any]:
    try:
        value = from_json(content)
    except ValueError as error:
        raise FormInvalid(f"The body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormInvalid("The body is not a JSON object.")
    return value


def _use_finished_upload(
    services: Services, caller: Principal, upload_id: str, sniff: Sniff, fields: FormT
) -> ReceivedForm[FormT]:
    upload = _get_finished_upload(services, caller, upload_id)
    if upload.digest is None:
        with open_upload_writer(services, upload_id, caller.id) as writer:
            writer.finish_if_complete()
        upload = _get_finished_upload(services, caller, upload_id)
    stored = StoredFile(str(upload.digest), upload.size)
    head = b"".join(services.store.read(stored.digest, 0, min(HEAD_BYTES, stored.size)))
    file_format = _sniff_format(sniff, head, "/upload_id")
    return ReceivedForm(fields, upload.filename, file_format, stored, upload_id)


def _get_finished_upload(services: Services, caller: Principal, upload_id: str) -> Upload:
    with services.database.read() as session:
        return resumable_uploads.get_finished(
            session, upload_id, visible_owner=caller.visible_owner
        )


def _copy_part(part: FormPart, writer: StoreWriter, sniff: Sniff) -> str:
    """Copy the part and return its format, which is detected before anything is copied."""
    head = b""
    for chunk in part.data:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    file_format = _sniff_format(sniff, head)
    writer.write(head)
    for chunk in part.data:
        writer.write(chunk)
    return file_format


def _sniff_format(sniff: Sniff, head: bytes, pointer: str = "/file") -> str:
    try:
        return sniff(head)
    except DistillationError as error:
        error.pointer = pointer
        raise
