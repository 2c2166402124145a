"""What each route needs, in one table; whoever may use a route still sees no rows of others."""

from fastapi import Depends, Request

from api.deps import Caller, Parts
from registry import access, owned
from registry.access import Role

_READ = frozenset({"GET", "HEAD", "OPTIONS"})
_UNSCOPED = frozenset({"catalog", "me", "session"})  # what a key is, and what there is to pick, every key may ask

_V, _S, _O, _A = Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN
NEEDS: dict[str, Role] = {
    "GET /v1/me": _V,
    "POST /v1/session": _V,
    "GET /v1/session": _V,
    "DELETE /v1/session": _V,
    "GET /v1/catalog": _V,
    "GET /v1/usage": _V,
    "POST /v1/teachers": _S,
    "GET /v1/teachers": _V,
    "GET /v1/teachers/{teacher_id}": _V,
    "DELETE /v1/teachers/{teacher_id}": _S,
    "POST /v1/datasets": _S,
    "GET /v1/datasets": _V,
    "GET /v1/datasets/{dataset_id}": _V,
    "DELETE /v1/datasets/{dataset_id}": _S,
    "GET /v1/datasets/{dataset_id}/samples": _V,
    "OPTIONS /v1/uploads": _V,
    "POST /v1/uploads": _S,
    "GET /v1/uploads": _V,
    "GET /v1/uploads/{upload_id}": _V,
    "PATCH /v1/uploads/{upload_id}": _S,
    "DELETE /v1/uploads/{upload_id}": _S,
    "GET /v1/uploads/{upload_id}/parts": _V,
    "POST /v1/uploads/{upload_id}/urls": _S,
    "POST /v1/uploads/{upload_id}/complete": _S,
    "POST /v1/jobs": _S,
    "GET /v1/jobs": _V,
    "GET /v1/jobs/{job_id}": _V,
    "PATCH /v1/jobs/{job_id}": _S,
    "DELETE /v1/jobs/{job_id}": _S,
    "POST /v1/jobs/{job_id}/cancel": _S,
    "POST /v1/jobs/{job_id}/pause": _S,
    "POST /v1/jobs/{job_id}/resume": _S,
    "POST /v1/jobs/{job_id}/retry": _S,
    "POST /v1/jobs/{job_id}/clone": _S,
    "GET /v1/jobs/{job_id}/attempts": _V,
    "GET /v1/jobs/{job_id}/events": _V,
    "GET /v1/jobs/{job_id}/logs": _V,
    "GET /v1/jobs/{job_id}/metrics": _V,
    "GET /v1/models": _V,
    "GET /v1/models/compare": _V,
    "POST /v1/models/import": _S,
    "GET /v1/models/{model}": _V,
    "PATCH /v1/models/{model}": _S,
    "DELETE /v1/models/{model}": _S,
    "GET /v1/models/{model}/lineage": _V,
    "GET /v1/models/{model}/card": _V,
    "GET /v1/models/{model}/bundle": _V,
    "GET /v1/models/{model}/files/{name}": _V,
    "POST /v1/models/{model}/files/{name}/url": _S,
    "GET /v1/registry": _V,
    "GET /v1/registry/{name}": _V,
    "PUT /v1/registry/{name}/aliases/{alias}": _S,
    "DELETE /v1/registry/{name}/aliases/{alias}": _S,
    "POST /v1/webhooks": _S,
    "GET /v1/webhooks": _V,
    "GET /v1/webhooks/{webhook_id}": _V,
    "PATCH /v1/webhooks/{webhook_id}": _S,
    "DELETE /v1/webhooks/{webhook_id}": _S,
    "POST /v1/webhooks/{webhook_id}/ping": _S,
    "GET /v1/webhooks/{webhook_id}/deliveries": _V,
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": _S,
    "POST /v1/keys": _A,
    "GET /v1/keys": _A,
    "GET /v1/keys/{key_id}": _A,
    "POST /v1/keys/{key_id}/rotate": _A,
    "POST /v1/keys/{key_id}/revoke": _A,
    "GET /v1/queues": _V,
    "GET /v1/workers": _V,
    "GET /v1/workers/{worker_id}": _V,
    "POST /v1/workers/{worker_id}/drain": _O,
    "DELETE /v1/workers/{worker_id}/drain": _O,
    "GET /v1/audit": _A,
    "GET /v1/quotas": _A,
    "GET /v1/quotas/{owner}": _A,
    "PUT /v1/quotas/{owner}": _A,
}


def need_of(method: str, path: str) -> tuple[Role, str | None]:
    """The least role and the scope for a route; one that is not in the table is for admins alone."""
    reads = method in _READ
    word = path.removeprefix("/v1/").split("/")[0]
    scope = None if word in _UNSCOPED else f"{word}:{'read' if reads else 'write'}"
    return NEEDS.get(f"{'GET' if method == 'HEAD' else method} {path}", _A), scope


def scopes() -> set[str]:
    """Every scope that a key can have."""
    found = {need_of(*entry.split(" "))[1] for entry in NEEDS}
    return {scope for scope in found if scope is not None}


def _admit(request: Request, parts: Parts, caller: Caller) -> None:
    role, scope = need_of(request.method, request.scope["route"].path)
    access.check(caller, role, scope)
    named = {name: row for name, row in request.path_params.items() if name in owned.TABLES}
    if caller.visible is None or not named:
        return
    with parts.database.read() as session:
        for name, row in named.items():
            owned.check(session, name, row, caller.visible)


admitted = Depends(_admit)
