"""Static files of the portal, a single-page application that uses the REST API."""

import gzip
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.responses import not_modified

PORTAL_DIR = Path(__file__).resolve().parents[1] / "portal"
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    # Plotly positions text with style attributes. <style> elements stay forbidden.
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data: blob:",  # Plotly exports images through data and blob URLs
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
PORTAL_HEADERS = {
    "Content-Security-Policy": "; ".join(_CONTENT_SECURITY_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated every time, usually with 304
    "Vary": "Accept-Encoding",
}
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_PLOTLY = "vendor/plotly.min.js"
router = APIRouter(include_in_schema=False)


@router.get("/")
def get_portal_page(request: Request) -> Response:
    """Serve the portal's HTML page."""
    return _file_response(request, PORTAL_DIR / "index.html")


@router.get("/portal/{name:path}")
def get_portal_file(name: str, request: Request) -> Response:
    """Serve one of the portal's files, or Plotly's script from the installed Python package."""
    path = _find_plotly_script() if name == _PLOTLY else _list_files().get(name)
    if path is None:
        raise HTTPException(404)
    return _file_response(request, path)


def _list_files() -> dict[str, Path]:
    """Return the portal's files by name. Names from clients are only looked up in this mapping."""
    return {
        path.relative_to(PORTAL_DIR).as_posix(): path
        for path in PORTAL_DIR.rglob("*")
        if path.suffix in _MEDIA_TYPES
    }


def _find_plotly_script() -> Path | None:
    spec = find_spec("plotly")
    folders = [] if spec is None else spec.submodule_search_locations or []
    paths = (Path(folder) / "package_data" / "plotly.min.js" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _file_response(request: Request, path: Path) -> Response:
    content, compressed, digest = _read_compressed(path, path.stat().st_mtime_ns)
    use_gzip = "gzip" in request.headers.get("accept-encoding", "")
    headers = {**PORTAL_HEADERS, "ETag": f'"{digest}-gzip"' if use_gzip else f'"{digest}"'}
    if (response := not_modified(request, headers)) is not None:
        return response
    if use_gzip:
        headers["Content-Encoding"] = "gzip"
    return Response(
        compressed if use_gzip else content,
        headers=headers,
        media_type=_MEDIA_TYPES[path.suffix],
    )


@lru_cache(maxsize=256)
def _read_compressed(path: Path, _mtime_ns: int) -> tuple[bytes, bytes, str]:
    """Return the content, compressed content and digest of a file.

    They are cached until the file changes.
    """
    content = path.read_bytes()
    return content, gzip.compress(content, 6), sha256(content).hexdigest()[:32]
