"""The files of models: whole, in part, all in one, or at an address that needs no key."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import FileResponse, RedirectResponse, StreamingResponse

from api.caching import has_current
from api.deps import Caller, Parts, Services
from api.model_schemas import UrlForm, UrlOut
from api.routes.models import PATH, find
from api.zipped import zipped
from dlkd_core.bundle import texts
from registry import models, signatures
from registry.db import now
from registry.errors import FileMissing
from registry.model_tables import Model, ModelFile
from registry.tables import AuditEvent

SIGNED = "/signed/models"
router = APIRouter(prefix=PATH, tags=["models"])
_DEFAULT_URL = UrlForm()
signed = APIRouter(prefix=SIGNED, include_in_schema=False)  # who is to use an address is given it
_Member = tuple[str, Iterable[bytes]]
_MEDIA_TYPE = "application/octet-stream"
_ZIP = "application/zip"
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of the file that Range names", "content": {_MEDIA_TYPE: {}}},
    304: {"description": "If-None-Match names this very file"},
    307: {"description": "The file lies at the signed address in Location"},
    416: {"description": "Range names no part of the file"},
}
_BUNDLE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The archive", "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "If-None-Match names this very archive"},
    307: _FILE_ANSWERS[307],
}


@router.get("/{model}/files/{name}", operation_id="get_model_file", response_class=Response, responses=_FILE_ANSWERS)
def get_model_file(request: Request, model: str, name: str, parts: Parts, caller: Caller) -> Response:
    """A file of the model, whole or in part."""
    with parts.database.read() as session:
        file = models.file(session, find(session, caller, model).id, name)
    return _answer(request, parts, file, file.name)


@router.get("/{model}/bundle", operation_id="get_model_bundle", response_class=Response, responses=_BUNDLE_ANSWERS)
def get_model_bundle(request: Request, model: str, parts: Parts, caller: Caller) -> Response:
    """All of the model in one zip: the bundle that was exported, or one made on the way of its files and what is known of it."""
    with parts.database.read() as session:
        found = find(session, caller, model)
        files = models.files(session, found.id)
    title = f"{found.name}-{found.version}.zip"
    exported = next((file for file in files if file.format == "bundle"), None)
    if exported is not None:
        return _answer(request, parts, exported, title)
    headers = {"ETag": _etag(found, files), "Cache-Control": "private, no-cache", "Content-Disposition": _attachment(title)}
    if has_current(request, headers["ETag"].removeprefix("W/")):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=_ZIP)
    opened = [(file.name, parts.store.read(file.sha256)) for file in files]  # what is missing is told before the first byte
    return StreamingResponse(zipped(_members(found, files, opened)), headers=headers, media_type=_ZIP)


router.add_api_route("/{model}/files/{name}", get_model_file, methods=["HEAD"], include_in_schema=False)
router.add_api_route("/{model}/bundle", get_model_bundle, methods=["HEAD"], include_in_schema=False)


@router.post("/{model}/files/{name}/url", operation_id="sign_model_file")
def sign_model_file(
    request: Request, model: str, name: str, parts: Parts, caller: Caller, form: UrlForm = _DEFAULT_URL
) -> UrlOut:
    """An address of the file that is good without a key for a while. Asking twice gives two, and changes nothing."""
    lifetime = timedelta(seconds=form.expires_seconds)
    with parts.database.write() as session:
        file = models.file(session, find(session, caller, model).id, name)
        at = now(session)
        expires = int((at + lifetime).timestamp())
        url = parts.store.signed_url(file.sha256, lifetime=lifetime)
        if url is None:
            signature = signatures.sign(session, expires, file.model_id, name)
            place = f"{SIGNED}/{file.model_id}/files/{quote(name, safe='')}"
            url = f"{str(request.base_url).rstrip('/')}{place}?expires={expires}&signature={signature}"
        facts = {"file": name, "expires": expires}
        session.add(AuditEvent(at=at, actor=caller.id, action="file.signed", subject=file.model_id, data=facts))
    return UrlOut(url=url, expires_at=datetime.fromtimestamp(expires, UTC))


@signed.api_route("/{model_id}/files/{name}", methods=["GET", "HEAD"])
def get_signed_file(
    request: Request,
    model_id: str,
    name: str,
    parts: Parts,
    signature: Annotated[str, Query(max_length=64)],
    expires: Annotated[int, Query(ge=0, le=10**11)],
) -> Response:
    """A file of a model for whoever holds its address."""
    with parts.database.read() as session:
        signatures.check(session, signature, expires, model_id, name)
        file = models.file(session, model_id, name)
    return _answer(request, parts, file, file.name)


def _members(model: Model, files: Sequence[ModelFile], opened: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[_Member]:
    for name, text in texts(model.report, files, model.name, model.version).items():
        yield name, [text]
    yield from opened


def _etag(model: Model, files: Iterable[ModelFile]) -> str:
    """Weak: the same contents, perhaps by another version of the program in other bytes."""
    words = "\n".join([model.id, *(f"{file.name} {file.sha256}" for file in files)])
    return f'W/"{sha256(words.encode()).hexdigest()}"'


def _answer(request: Request, parts: Services, file: ModelFile, title: str) -> Response:
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    headers = {
        "ETag": f'"{file.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "Digest": f"sha-256={digest}",  # RFC 3230, which older clients know
        "Cache-Control": "private, no-cache",
        "Content-Disposition": _attachment(title),
    }
    if has_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _content(parts, file, headers, request.method)


def _attachment(title: str) -> str:
    return f'attachment; filename="{title}"'


def _content(parts: Services, file: ModelFile, headers: dict[str, str], method: str) -> Response:
    media_type = _ZIP if file.format == "bundle" else _MEDIA_TYPE
    path = parts.store.local_path(file.sha256)
    if path is not None:
        return FileResponse(path, headers=headers, media_type=media_type)
    if method == "HEAD":  # a signed address is good for one method only
        return Response(headers={**headers, "Content-Length": str(file.size)}, media_type=media_type)
    address = parts.store.signed_url(file.sha256)
    if address is None:
        raise FileMissing(
            f"The file {file.name} of {file.model_id} is gone from the store.", hint="Restore the store from a copy."
        )
    return RedirectResponse(address, 307, headers={"Cache-Control": "no-store"})
