"""Files that come in several requests, by the protocol tus 1.0 (https://tus.io/protocols/resumable-upload).

Beside it, parts of a file may go straight to an S3 store, at signed addresses: no bytes of theirs come through here.
"""

from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.exceptions import HTTPException

from api.deps import Caller, Cursor, Limit, Parts, Services
from api.reception import ALGORITHMS, Checksum, kept, reception
from api.schemas import Page
from api.upload_schemas import FileUploadOut, PartAddress, PartAddresses, PartsForm, PartsOut, told
from api.uploads import body_of, drain, in_upload_thread
from dlkd_core.errors import DistillationError
from registry import quotas, resumable
from registry.access import Principal
from registry.db import now
from registry.errors import RegistryError, UploadTooLarge
from registry.partials import Part, partials
from registry.quotas import Limits
from registry.resumable import Told
from registry.tables import Upload

PATH = "/v1/uploads"
VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
_OFFSET_STREAM = "application/offset+octet-stream"
_BODY: dict[str, Any] = {"content": {_OFFSET_STREAM: {"schema": {"type": "string", "format": "binary"}}}}


_Version = Annotated[str | None, Header(alias="Tus-Resumable", description=f"Must be {VERSION}")]


def _speaks_tus(version: _Version = None) -> None:
    if version != VERSION:
        raise HTTPException(412, f"The header Tus-Resumable must be {VERSION}.", {"Tus-Version": VERSION})


router = APIRouter(prefix=PATH, tags=["uploads"])
_tus = [Depends(_speaks_tus)]
_Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**62, description="How many bytes have come")]
_Length = Annotated[int, Header(alias="Upload-Length", ge=1, le=2**62, description="Bytes of the whole file")]
_Metadata = Annotated[
    str, Header(alias="Upload-Metadata", max_length=4096, description="Names and base64 by commas; known are filename and sha256")
]
_Sum = Annotated[
    str | None, Header(alias="Upload-Checksum", description="`sha256` or `sha1`, and base64, of this request's bytes")
]


@dataclass(frozen=True)
class _Stretch:
    """Some bytes of the file: from where on, and what they must hash to."""

    offset: int
    checksum: Checksum | None


def _file(length: _Length, metadata: _Metadata = "", version: _Version = None) -> Told:
    _speaks_tus(version)
    return told(length, metadata)


def _first(checksum: _Sum = None) -> _Stretch:
    return _Stretch(0, None if checksum is None else Checksum.of(checksum))


def _next(offset: _Offset, checksum: _Sum = None, version: _Version = None) -> _Stretch:
    _speaks_tus(version)
    return replace(_first(checksum), offset=offset)


@router.options("", operation_id="get_upload_protocol", status_code=204)
def get_upload_protocol(response: Response, parts: Parts) -> None:
    """What this service speaks: version, extensions and limits, as headers."""
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = _EXTENSIONS
    response.headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)
    response.headers["Tus-Max-Size"] = str(parts.settings.max_upload_bytes)


@router.post("", operation_id="create_upload", status_code=201, openapi_extra={"requestBody": _BODY})
async def create_upload(
    request: Request,
    response: Response,
    parts: Parts,
    caller: Caller,
    said: Annotated[Told, Depends(_file)],
    stretch: Annotated[_Stretch, Depends(_first)],
) -> FileUploadOut:
    """Begins an upload; a body of `application/offset+octet-stream` is its first bytes."""

    def work() -> Upload:
        upload = _create(parts, caller, said)
        return _append(request, parts, caller, upload.id, stretch) if _brings_bytes(request) else upload

    upload = await in_upload_thread(work, parts.uploads)
    response.headers["Location"] = f"{PATH}/{upload.id}"
    return _shown(response, upload)


@router.get("", operation_id="list_uploads")
def list_uploads(parts: Parts, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Page[FileUploadOut]:
    """Uploads whose time is not over, newest first."""
    with parts.database.read() as session:
        return Page[FileUploadOut].model_validate(resumable.page(session, owner=caller.visible, limit=limit, cursor=cursor))


@router.get("/{upload_id}", operation_id="get_upload")
def get_upload(upload_id: str, response: Response, parts: Parts) -> FileUploadOut:
    """How far an upload is."""
    with parts.database.read() as session:
        return _shown(response, resumable.get(session, upload_id))


router.add_api_route("/{upload_id}", get_upload, methods=["HEAD"], include_in_schema=False, dependencies=_tus)


@router.patch(
    "/{upload_id}",
    operation_id="append_to_upload",
    status_code=204,
    openapi_extra={"requestBody": {"required": True, **_BODY}},
)
async def append_to_upload(
    upload_id: str,
    request: Request,
    response: Response,
    parts: Parts,
    caller: Caller,
    stretch: Annotated[_Stretch, Depends(_next)],
) -> None:
    """The next bytes, from `Upload-Offset` on. What came before a cut connection counts, unless there is a checksum."""
    if not _brings_bytes(request):
        raise HTTPException(415, f"The Content-Type must be {_OFFSET_STREAM}.")

    def work() -> Upload:
        return _append(request, parts, caller, upload_id, stretch)

    _shown(response, await in_upload_thread(work, parts.uploads))


@router.delete("/{upload_id}", operation_id="delete_upload", status_code=204, dependencies=_tus)
def delete_upload(upload_id: str, parts: Parts, caller: Caller) -> None:
    """Ends an upload and forgets its bytes; what was made of it stays."""
    with reception(parts, upload_id, caller.id) as held:
        held.remove("terminated")


@router.post("/{upload_id}/urls", operation_id="sign_upload_parts")
def sign_upload_parts(upload_id: str, form: PartsForm, parts: Parts, caller: Caller) -> PartAddresses:
    """Addresses of the S3 store to PUT parts of the file to, with no header but Content-Length: many at once, in any order.

    They are good without a key for a while. A part that is stored again replaces the one before. `complete` ends the upload.
    """
    wanted, lifetime = [Part(part.offset, part.size) for part in form.parts], min(form.lifetime, kept(parts))
    with parts.database.read() as session:
        expires_at = now(session) + lifetime
    with reception(parts, upload_id, caller.id) as held:
        urls = held.addresses(wanted, lifetime)
    made = zip(wanted, urls, strict=True)
    return PartAddresses(
        parts=[PartAddress(offset=part.offset, size=part.size, url=url, expires_at=expires_at) for part, url in made]
    )


@router.get("/{upload_id}/parts", operation_id="list_upload_parts")
def list_upload_parts(upload_id: str, parts: Parts) -> PartsOut:
    """The parts of the file that were sent straight to the store, as it has them."""
    with parts.database.read() as session:
        upload = resumable.get(session, upload_id)
    return PartsOut.model_validate({"parts": partials(parts.store).parts(upload.id)})


@router.post("/{upload_id}/complete", operation_id="complete_upload")
async def complete_upload(upload_id: str, response: Response, parts: Parts, caller: Caller) -> FileUploadOut:
    """Makes the whole of its parts: their sizes must fit, and the sha256 that was told. Answered when all is stored."""

    def work() -> Upload:
        with reception(parts, upload_id, caller.id) as held:
            held.complete()
        with parts.database.read() as session:
            return resumable.get(session, upload_id)

    return _shown(response, await in_upload_thread(work, parts.uploads))


def _create(parts: Services, caller: Principal, said: Told) -> Upload:
    limit = parts.settings.max_upload_bytes
    if said.size > limit:
        raise UploadTooLarge(f"The file is larger than the {limit} bytes that this service takes.")
    with parts.database.write() as session:
        upload = resumable.create(session, caller, said, kept=kept(parts))
        quotas.check_bytes(session, caller.owner, Limits.of(parts.settings))
    return upload


def _brings_bytes(request: Request) -> bool:
    return request.headers.get("content-type", "") == _OFFSET_STREAM


def _append(request: Request, parts: Services, caller: Principal, upload_id: str, stretch: _Stretch) -> Upload:
    body, claimed = body_of(request), request.headers.get("content-length", "")
    try:
        with reception(parts, upload_id, caller.id, offset=stretch.offset) as held:
            held.take(body, int(claimed) if claimed.isdecimal() else None, stretch.checksum)
    except (RegistryError, DistillationError):
        drain(body)
        raise
    with parts.database.read() as session:
        return resumable.get(session, upload_id)


def _shown(response: Response, upload: Upload) -> FileUploadOut:
    """The upload as a document, and in the headers of the protocol."""
    response.headers["Upload-Offset"] = str(upload.received)
    response.headers["Upload-Length"] = str(upload.size)
    response.headers["Upload-Expires"] = format_datetime(upload.expires_at, usegmt=True)
    response.headers["Cache-Control"] = "no-store"
    if upload.told:
        response.headers["Upload-Metadata"] = upload.told
    return FileUploadOut.model_validate(upload)
