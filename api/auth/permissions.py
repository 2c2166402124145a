"""The role and scope that each route requires.

Callers with a role below operator see only resources that belong to the same owner as their API key
or token.
"""

from fastapi import Depends, Request

from api.auth.credentials import SAFE_METHODS
from api.deps import Caller, ServicesDep
from registry.access import ownership, permissions
from registry.access.permissions import Role

# Resources that need no scope: the caller's identity and the catalog.
_UNSCOPED_RESOURCES = frozenset({"catalog", "me", "session"})

_V, _S, _O, _A = Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN
ROUTE_ROLES: dict[str, Role] = {
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
    "GET /v1/datasets/{dataset_id}/report": _V,
    "GET /v1/datasets/{dataset_id}/report/examples": _V,
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


def get_required_access(method: str, path: str) -> tuple[Role, str | None]:
    """Return the minimum role and the scope that a route requires.

    Routes that are not in `ROUTE_ROLES` require the admin role. The scope is None if the route
    requires no scope.
    """
    action = "read" if method in SAFE_METHODS else "write"
    resource = path.removeprefix("/v1/").split("/")[0]
    scope = None if resource in _UNSCOPED_RESOURCES else f"{resource}:{action}"
    return ROUTE_ROLES.get(f"{'GET' if method == 'HEAD' else method} {path}", _A), scope


def list_scopes() -> set[str]:
    """Return every scope that a key can have."""
    scopes = {get_required_access(*route.split(" "))[1] for route in ROUTE_ROLES}
    return {scope for scope in scopes if scope is not None}


def _check_access(request: Request, services: ServicesDep, caller: Caller) -> None:
    role, scope = get_required_access(request.method, request.scope["route"].path)
    permissions.check(caller, role, scope)
    row_ids = {
        name: value for name, value in request.path_params.items() if name in ownership.OWNED_TABLES
    }
    if caller.visible_owner is None or not row_ids:
        return
    with services.database.read() as session:
        for name, row_id in row_ids.items():
            ownership.check_owner(session, name, row_id, caller.visible_owner)


access_check = Depends(_check_access)
