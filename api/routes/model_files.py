"""Model files: downloads, bundles and signed URLs."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import FileResponse, RedirectResponse, StreamingResponse

from api.deps import Caller, Services, ServicesDep
from api.responses import OCTET_STREAM, REVALIDATE, ZIP, not_modified, stream_zip
from api.routes.models import PATH, ModelReference, find_model
from api.schemas.model_schemas import SignedUrlOut, SignedUrlRequest
from dlkd_core.catalog.exporters import ExportFormat
from dlkd_core.reporting.bundle_documents import render_documents
from registry.access import audit, signed_tokens
from registry.db.database import now
from registry.db.model_tables import Model, ModelFile
from registry.errors import StoredFileMissing
from registry.models import model_versions

SIGNED_PATH = "/signed/models"
router = APIRouter(prefix=PATH, tags=["models"])
_DEFAULT_URL_REQUEST = SignedUrlRequest()
# These routes are not in the OpenAPI document, because `sign_model_file` returns their URLs.
signed_router = APIRouter(prefix=SIGNED_PATH, include_in_schema=False)
_FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {OCTET_STREAM: {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The requested range of the file.", "content": {OCTET_STREAM: {}}},
    304: {"description": "The file still matches the ETag."},
    307: {"description": "Redirect to the signed URL of the file."},
    416: {"description": "The requested range is not within the file."},
}
_BUNDLE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The archive.",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The archive still matches the ETag."},
    307: _FILE_RESPONSES[307],
}


@router.get(
    "/{model}/files/{name}",
    operation_id="get_model_file",
    summary="Download Model File",
    response_class=Response,
    responses=_FILE_RESPONSES,
)
def get_model_file(
    request: Request, model: ModelReference, name: str, services: ServicesDep, caller: Caller
) -> Response:
    """Download a model file, or a byte range of it."""
    with services.database.read() as session:
        file = model_versions.get_file(session, find_model(session, caller, model).id, name)
    return _file_response(request, services, file, file.name)


@router.get(
    "/{model}/bundle",
    operation_id="get_model_bundle",
    summary="Download Model Bundle",
    response_class=Response,
    responses=_BUNDLE_RESPONSES,
)
def get_model_bundle(
    request: Request, model: ModelReference, services: ServicesDep, caller: Caller
) -> Response:
    """Download a model as a zip archive.

    If one of the model's export formats is a bundle, that bundle is sent. Otherwise the archive is
    built from the model's files and documents while it is being sent.
    """
    with services.database.read() as session:
        row = find_model(session, caller, model)
        files = model_versions.list_files(session, row.id)
    filename = f"{row.name}-{row.version}.zip"
    exported = next((file for file in files if file.format == ExportFormat.BUNDLE), None)
    if exported is not None:
        return _file_response(request, services, exported, filename)
    headers = {
        "ETag": _compute_bundle_etag(row, files),
        "Cache-Control": REVALIDATE,
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    if (response := not_modified(request, headers)) is not None:
        return response
    if request.method == "HEAD":
        return Response(headers=headers, media_type=ZIP)
    # Files are opened before the response starts, so that a missing file is reported as an error.
    opened = [(file.name, services.store.read(file.sha256)) for file in files]
    return StreamingResponse(
        stream_zip(_iter_bundle_members(row, files, opened)), headers=headers, media_type=ZIP
    )


router.add_api_route(
    "/{model}/files/{name}", get_model_file, methods=["HEAD"], include_in_schema=False
)
router.add_api_route("/{model}/bundle", get_model_bundle, methods=["HEAD"], include_in_schema=False)


@router.post(
    "/{model}/files/{name}/url",
    operation_id="sign_model_file",
    summary="Create Signed Download URL",
)
def sign_model_file(
    request: Request,
    model: ModelReference,
    name: str,
    services: ServicesDep,
    caller: Caller,
    body: SignedUrlRequest = _DEFAULT_URL_REQUEST,
) -> SignedUrlOut:
    """Create a temporary URL for downloading a model file without an API key.

    Repeated requests return different URLs, all of which are valid.
    """
    lifetime = timedelta(seconds=body.expires_seconds)
    with services.database.write() as session:
        file = model_versions.get_file(session, find_model(session, caller, model).id, name)
        at = now(session)
        expires = int((at + lifetime).timestamp())
        url = services.store.signed_url(file.sha256, lifetime=lifetime)
        if url is None:
            signature = signed_tokens.create_signature(session, expires, file.model_id, name)
            base_url = f"{str(request.base_url).rstrip('/')}{SIGNED_PATH}"
            path = f"{file.model_id}/files/{quote(name, safe='')}"
            url = f"{base_url}/{path}?expires={expires}&signature={signature}"
        audit.record_event_at(
            session,
            at,
            caller.id,
            "file.signed",
            file.model_id,
            {"file": name, "expires": expires},
        )
    return SignedUrlOut(url=url, expires_at=datetime.fromtimestamp(expires, UTC))


@signed_router.api_route("/{model_id}/files/{name}", methods=["GET", "HEAD"])
def get_signed_file(
    request: Request,
    model_id: str,
    name: str,
    services: ServicesDep,
    signature: Annotated[str, Query(max_length=64)],
    expires: Annotated[int, Query(ge=0, le=10**11)],
) -> Response:
    """Download a model file with a signed URL."""
    with services.database.read() as session:
        signed_tokens.verify_signature(session, signature, expires, model_id, name)
        file = model_versions.get_file(session, model_id, name)
    return _file_response(request, services, file, file.name)


def _iter_bundle_members(
    model: Model, files: Sequence[ModelFile], opened: Iterable[tuple[str, Iterable[bytes]]]
) -> Iterator[tuple[str, Iterable[bytes]]]:
    for name, text in render_documents(model.report, files, model.name, model.version).items():
        yield name, [text]
    yield from opened


def _compute_bundle_etag(model: Model, files: Iterable[ModelFile]) -> str:
    """Return the ETag of a model's bundle.

    It is a weak ETag, because another release of the service may write different bytes.
    """
    contents = "\n".join([model.id, *(f"{file.name} {file.sha256}" for file in files)])
    return f'W/"{sha256(contents.encode()).hexdigest()}"'


def _file_response(
    request: Request, services: Services, file: ModelFile, filename: str
) -> Response:
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    headers = {
        "ETag": f'"{file.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "Digest": f"sha-256={digest}",  # RFC 3230, for older clients
        "Cache-Control": REVALIDATE,
        "Content-Disposition": f'attachment; filename="{filename}"',
    }
    if (response := not_modified(request, headers)) is not None:
        return response
    media_type = ZIP if file.format == ExportFormat.BUNDLE else OCTET_STREAM
    path = services.store.local_path(file.sha256)
    if path is not None:
        return FileResponse(path, headers=headers, media_type=media_type)
    if request.method == "HEAD":  # a signed URL of the store is valid for one method only
        return Response(
            headers={**headers, "Content-Length": str(file.size)}, media_type=media_type
        )
    url = services.store.signed_url(file.sha256)
    if url is None:
        raise StoredFileMissing(
            f"The file {file.name} of the model {file.model_id} is missing from the store.",
            hint="Restore the store from a backup.",
        )
    return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
