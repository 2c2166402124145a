"""The portal: a page and its modules as plain files. It speaks the REST API alone, and nothing comes from another host."""

import gzip
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.caching import has_current

FOLDER = Path(__file__).resolve().parents[1] / "portal"
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "style-src-attr 'unsafe-inline'",  # plotly places its words by style attributes; <style> elements stay forbidden
    "img-src 'self' data: blob:",  # what plotly draws its pictures from
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked again each time, answered with 304
    "Vary": "Accept-Encoding",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_PLOTLY = "vendor/plotly.min.js"
router = APIRouter(include_in_schema=False)


@router.get("/")
def front(request: Request) -> Response:
    """The portal's one page."""
    return _file(request, FOLDER / "index.html")


@router.get("/portal/{name:path}")
def asset(name: str, request: Request) -> Response:
    """A file of the page; plotly's script is the one that its wheel brings."""
    path = _plotly() if name == _PLOTLY else _names().get(name)
    if path is None:
        raise HTTPException(404)
    return _file(request, path)


def _names() -> dict[str, Path]:
    """The files that there are: what a client writes is looked up here, and never a path."""
    return {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.suffix in _TYPES}


def _plotly() -> Path | None:
    found = find_spec("plotly")
    places = [] if found is None else found.submodule_search_locations or []
    return next((path for place in places if (path := Path(place) / "package_data" / "plotly.min.js").is_file()), None)


def _file(request: Request, path: Path) -> Response:
    plain, packed, etag = _read(path, path.stat().st_mtime_ns)
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = {**HEADERS, "ETag": f'"{etag}-gzip"' if zipped else f'"{etag}"'}
    if has_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(packed if zipped else plain, headers=headers, media_type=_TYPES[path.suffix])


@lru_cache(maxsize=256)
def _read(path: Path, _changed: int) -> tuple[bytes, bytes, str]:
    """The file, the file compressed, and its digest; read again when it has changed."""
    content = path.read_bytes()
    return content, gzip.compress(content, 6), sha256(content).hexdigest()[:32]
