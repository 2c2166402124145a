"""HTML overview of the API. The page loads nothing from other hosts."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'"
}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; background: #f3f3f1; border-radius: 4px }}
code {{ padding: .1em .3em }} pre {{ padding: 1em; overflow-x: auto }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-top: 1px solid #ddd; padding: .4em .6em; vertical-align: top }}
a {{ color: #0b57a4 }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e8e8e6; background: #161616 }} code, pre {{ background: #262626 }}
  td {{ border-color: #3a3a3a }} a {{ color: #8ab8ef }}
}}
</style></head>
<body>
<h1>{title}</h1>
<p>This service distills large models into small ones. Upload a teacher checkpoint and a dataset,
choose a student architecture, and download the student as weights and ONNX, with measured accuracy,
size and latency.</p>
<p>To work in the browser, open <a href="/">the portal</a>.</p>
<p>Every request needs an API key: <code>Authorization: Bearer dlkd_…</code>. Use the
<code>dlkd</code> command or the Python client <code>dlkd_client.client.Client</code>, or generate a
client from <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).
<a href="/readyz">/readyz</a> shows whether the service is ready.</p>
<pre>curl -H "Authorization: Bearer $DLKD_API_KEY" {address}v1/jobs</pre>
<table>{rows}</table>
</body></html>
"""


@router.get("/docs")
def get_docs_page(request: Request) -> HTMLResponse:
    """Render a page with a short introduction and a table of all operations."""
    document = request.app.openapi()
    page = _PAGE.format(
        title=escape(document["info"]["title"]),
        address=escape(str(request.base_url)),
        rows=_render_rows(document),
    )
    return HTMLResponse(page, headers=_HEADERS)


def _render_rows(document: dict[str, Any]) -> str:
    return "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
