"""The page about the API, for people. Nothing on it comes from another host."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; background: #f3f3f1; border-radius: 4px }}
code {{ padding: .1em .3em }} pre {{ padding: 1em; overflow-x: auto }}
table {{ border-collapse: collapse; width: 100% }} td {{ border-top: 1px solid #ddd; padding: .4em .6em; vertical-align: top }}
a {{ color: #0b57a4 }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e8e8e6; background: #161616 }} code, pre {{ background: #262626 }}
  td {{ border-color: #3a3a3a }} a {{ color: #8ab8ef }}
}}
</style></head>
<body>
<h1>{title}</h1>
<p>This service makes small models from large ones. Send it a teacher's checkpoint and a data set, name a student, and
download the student: weights and ONNX, with measured accuracy, size and latency.</p>
<p>People use <a href="/">the portal</a>.</p>
<p>Every request carries a key: <code>Authorization: Bearer dlkd_…</code>. On this machine the <code>dlkd</code> command
and the Python client <code>dlkd_client.client.Client</code> speak to it; for everything else there is
<a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). <a href="/readyz">/readyz</a> tells whether it can work.</p>
<pre>curl -H "Authorization: Bearer $DLKD_API_KEY" {address}v1/jobs</pre>
<table>{rows}</table>
</body></html>
"""


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """What this is, and every path of it."""
    document = request.app.openapi()
    page = _PAGE.format(title=escape(document["info"]["title"]), address=escape(str(request.base_url)), rows=_rows(document))
    return HTMLResponse(page, headers=_HEADERS)


def _rows(document: dict[str, Any]) -> str:
    cells = (
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{escape(operation.get('description', ''))}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return "".join(cells)
