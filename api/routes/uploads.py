"""Resumable uploads with the tus 1.0 protocol (https://tus.io/protocols/resumable-upload).

If the store is S3, clients can also send parts of a file directly to the store with signed URLs.
"""

from email.utils import format_datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from api.deps import Caller, PageCursor, PageLimit, Services, ServicesDep
from api.schemas.base import Page
from api.schemas.upload_schemas import (
    FileUploadOut,
    SignedPartOut,
    SignedPartsOut,
    SignPartsRequest,
    UploadPartsOut,
)
from api.uploads import tus
from api.uploads.form_parser import drain_on_error, iter_body
from api.uploads.upload_writer import get_upload_lifetime, open_upload_writer
from registry.access import quotas
from registry.access.permissions import Principal
from registry.db.database import now
from registry.db.input_tables import Upload
from registry.errors import UploadTooLarge
from registry.uploads import resumable_uploads
from registry.uploads.resumable_uploads import UploadInfo
from registry.uploads.upload_parts import UploadPart, open_upload_parts

PATH = "/v1/uploads"
_CHUNK_BODY: dict[str, Any] = {
    "content": {tus.OFFSET_STREAM: {"schema": {"type": "string", "format": "binary"}}}
}
router = APIRouter(prefix=PATH, tags=["uploads"])
_tus_required = [Depends(tus.require_version)]


@router.options("", operation_id="get_upload_protocol", status_code=204)
def get_upload_protocol(response: Response, services: ServicesDep) -> None:
    """Get the supported tus version, extensions and limits as response headers."""
    response.headers["Tus-Version"] = tus.VERSION
    response.headers["Tus-Extension"] = tus.EXTENSIONS
    response.headers["Tus-Checksum-Algorithm"] = ",".join(tus.CHECKSUM_ALGORITHMS)
    response.headers["Tus-Max-Size"] = str(services.settings.max_upload_bytes)


@router.post(
    "", operation_id="create_upload", status_code=201, openapi_extra={"requestBody": _CHUNK_BODY}
)
async def create_upload(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    upload_info: Annotated[UploadInfo, Depends(tus.parse_upload_info)],
    chunk: Annotated[tus.Chunk, Depends(tus.parse_first_chunk)],
) -> FileUploadOut:
    """Create an upload.

    A body of type `application/offset+octet-stream` contains the first bytes of the file.
    """

    def work() -> Upload:
        upload = _create_upload(services, caller, upload_info)
        if _has_chunk_body(request):
            return _append_chunk(request, services, caller, upload.id, chunk)
        return upload

    upload = await to_thread.run_sync(work, limiter=services.upload_limiter)
    response.headers["Location"] = f"{PATH}/{upload.id}"
    return _upload_response(response, upload)


@router.get("", operation_id="list_uploads")
def list_uploads(
    services: ServicesDep, caller: Caller, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[FileUploadOut]:
    """List the uploads that have not expired, newest first."""
    with services.database.read() as session:
        return Page[FileUploadOut].model_validate(
            resumable_uploads.list_page(
                session, owner=caller.visible_owner, limit=limit, cursor=cursor
            )
        )


@router.get("/{upload_id}", operation_id="get_upload")
def get_upload(upload_id: str, response: Response, services: ServicesDep) -> FileUploadOut:
    """Get an upload and the number of bytes received so far."""
    with services.database.read() as session:
        return _upload_response(response, resumable_uploads.get(session, upload_id))


router.add_api_route(
    "/{upload_id}",
    get_upload,
    methods=["HEAD"],
    include_in_schema=False,
    dependencies=_tus_required,
)


@router.patch(
    "/{upload_id}",
    operation_id="append_to_upload",
    status_code=204,
    openapi_extra={"requestBody": {"required": True, **_CHUNK_BODY}},
)
async def append_to_upload(
    upload_id: str,
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    chunk: Annotated[tus.Chunk, Depends(tus.parse_next_chunk)],
) -> None:
    """Append the next bytes of the file, starting at `Upload-Offset`.

    If the connection breaks, the bytes received so far are kept unless the request has a checksum.
    Clients that cannot send PATCH send POST with the header `X-HTTP-Method-Override: PATCH`.
    """
    if not _has_chunk_body(request):
        raise HTTPException(415, f"The Content-Type must be {tus.OFFSET_STREAM}.")
    upload = await to_thread.run_sync(
        _append_chunk, request, services, caller, upload_id, chunk, limiter=services.upload_limiter
    )
    _upload_response(response, upload)


@router.delete(
    "/{upload_id}", operation_id="delete_upload", status_code=204, dependencies=_tus_required
)
def delete_upload(upload_id: str, services: ServicesDep, caller: Caller) -> None:
    """Delete an upload and its bytes. Teachers and datasets created from it are kept."""
    with open_upload_writer(services, upload_id, caller.id) as writer:
        writer.delete("terminated")


@router.post(
    "/{upload_id}/urls", operation_id="sign_upload_parts", summary="Create Signed Part URLs"
)
def sign_upload_parts(
    upload_id: str, body: SignPartsRequest, services: ServicesDep, caller: Caller
) -> SignedPartsOut:
    """Create signed URLs to which parts of the file can be sent with PUT.

    The parts go directly to the S3 store. They can be sent in parallel and in any order, without an
    API key and with Content-Length as the only header. Sending a part again replaces it. Call
    `POST /v1/uploads/{upload_id}/complete` when all parts have been sent.
    """
    parts = [UploadPart(part.offset, part.size) for part in body.parts]
    lifetime = min(body.lifetime, get_upload_lifetime(services))
    with services.database.read() as session:
        expires_at = now(session) + lifetime
    with open_upload_writer(services, upload_id, caller.id) as writer:
        urls = writer.sign_part_urls(parts, lifetime)
    return SignedPartsOut(
        parts=[
            SignedPartOut(offset=part.offset, size=part.size, url=url, expires_at=expires_at)
            for part, url in zip(parts, urls, strict=True)
        ]
    )


@router.get("/{upload_id}/parts", operation_id="list_upload_parts")
def list_upload_parts(upload_id: str, services: ServicesDep) -> UploadPartsOut:
    """List the parts of the file that the client has sent directly to the store."""
    with services.database.read() as session:
        upload = resumable_uploads.get(session, upload_id)
    return UploadPartsOut.model_validate(
        {"parts": open_upload_parts(services.store).list_parts(upload.id)}
    )


@router.post("/{upload_id}/complete", operation_id="complete_upload")
async def complete_upload(
    upload_id: str, response: Response, services: ServicesDep, caller: Caller
) -> FileUploadOut:
    """Assemble the file from its parts. The response is sent once the file is stored.

    The file must have the declared size and, if one was declared, the declared SHA-256.
    """

    def work() -> Upload:
        with open_upload_writer(services, upload_id, caller.id) as writer:
            writer.complete()
        with services.database.read() as session:
            return resumable_uploads.get(session, upload_id)

    upload = await to_thread.run_sync(work, limiter=services.upload_limiter)
    return _upload_response(response, upload)


def _create_upload(services: Services, caller: Principal, upload_info: UploadInfo) -> Upload:
    limit = services.settings.max_upload_bytes
    if upload_info.size > limit:
        raise UploadTooLarge(
            f"The file has {upload_info.size} bytes, but this service accepts at most {limit}."
        )
    with services.database.write() as session:
        upload = resumable_uploads.create(
            session, caller, upload_info, ttl=get_upload_lifetime(services)
        )
        quotas.check_bytes(session, caller.owner, services.default_quotas)
    return upload


def _has_chunk_body(request: Request) -> bool:
    return request.headers.get("content-type", "") == tus.OFFSET_STREAM


def _append_chunk(
    request: Request, services: Services, caller: Principal, upload_id: str, chunk: tus.Chunk
) -> Upload:
    body, content_length = iter_body(request), request.headers.get("content-length", "")
    size = int(content_length) if content_length.isdecimal() else None
    with (
        drain_on_error(body),
        open_upload_writer(services, upload_id, caller.id, offset=chunk.offset) as writer,
    ):
        writer.append(body, size, chunk.checksum)
    with services.database.read() as session:
        return resumable_uploads.get(session, upload_id)


def _upload_response(response: Response, upload: Upload) -> FileUploadOut:
    """Set the tus headers of the response, and return the upload."""
    response.headers["Upload-Offset"] = str(upload.received)
    response.headers["Upload-Length"] = str(upload.size)
    response.headers["Upload-Expires"] = format_datetime(upload.expires_at, usegmt=True)
    response.headers["Cache-Control"] = "no-store"
    if upload.raw_metadata:
        response.headers["Upload-Metadata"] = upload.raw_metadata
    return FileUploadOut.model_validate(upload)
