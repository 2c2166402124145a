"""Students: what they are, how good they are, and their files."""

from base64 import b64encode
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse, RedirectResponse

from api.caching import has_current
from api.deps import Cursor, Limit, Parts, Services
from api.schemas import ModelOut, Page
from api.views import model_out
from registry import models
from registry.errors import FileMissing
from registry.tables import ModelFile

PATH = "/v1/models"
router = APIRouter(prefix=PATH, tags=["models"])
_MEDIA_TYPE = "application/octet-stream"
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of the file that Range names", "content": {_MEDIA_TYPE: {}}},
    304: {"description": "If-None-Match names this very file"},
    307: {"description": "The file lies at the signed address in Location"},
    416: {"description": "Range names no part of the file"},
}


@router.get("", operation_id="list_models")
def list_models(parts: Parts, limit: Limit = 50, cursor: Cursor = None) -> Page[ModelOut]:
    """Models, newest first."""
    with parts.database.read() as session:
        page = models.page(session, limit=limit, cursor=cursor)
        return Page[ModelOut](items=[model_out(session, model) for model in page.items], next_cursor=page.next_cursor)


@router.get("/{model_id}", operation_id="get_model")
def get_model(model_id: str, parts: Parts) -> ModelOut:
    """One model with its files and what was measured of each."""
    with parts.database.read() as session:
        return model_out(session, models.get(session, model_id))


@router.get("/{model_id}/files/{name}", operation_id="get_model_file", response_class=Response, responses=_FILE_ANSWERS)
def get_model_file(request: Request, model_id: str, name: str, parts: Parts) -> Response:
    """A file of the model, whole or in part."""
    with parts.database.read() as session:
        models.get(session, model_id)
        file = models.file(session, model_id, name)
    headers = _headers(file)
    if has_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _content(parts, file, headers, request.method)


router.add_api_route("/{model_id}/files/{name}", get_model_file, methods=["HEAD"], include_in_schema=False)


def _headers(file: ModelFile) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    return {
        "ETag": f'"{file.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "Digest": f"sha-256={digest}",  # RFC 3230, which older clients know
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{file.name}"',
    }


def _content(parts: Services, file: ModelFile, headers: dict[str, str], method: str) -> Response:
    path = parts.store.local_path(file.sha256)
    if path is not None:
        return FileResponse(path, headers=headers, media_type=_MEDIA_TYPE)
    if method == "HEAD":  # a signed address is good for one method only
        return Response(headers={**headers, "Content-Length": str(file.size)}, media_type=_MEDIA_TYPE)
    address = parts.store.signed_url(file.sha256)
    if address is None:
        raise FileMissing(
            f"The file {file.name} of {file.model_id} is gone from the store.", hint="Restore the store from a copy."
        )
    return RedirectResponse(address, 307, headers={"Cache-Control": "no-store"})
