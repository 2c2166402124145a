"""Prometheus metrics. They are for operators, so the OpenAPI document omits this route."""

import hmac

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from api.auth.credentials import authenticate_bearer, parse_bearer_token
from api.deps import Services, ServicesDep
from registry.access import permissions
from registry.access.address_checks import is_loopback
from registry.access.permissions import Role
from registry.errors import Forbidden, Unauthenticated

PATH = "/metrics"
# Requests with these headers came through a proxy, so their address is not the client's.
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
router = APIRouter()


@router.get(PATH, include_in_schema=False)
def scrape_metrics(request: Request, services: ServicesDep) -> Response:
    """Return the metrics in the text format that the Accept header requests."""
    _check_access(request, services)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(
        encode(request.app.state.metrics_registry),
        headers={"Content-Type": content_type, "Cache-Control": "no-store"},
    )


def _check_access(request: Request, services: Services) -> None:
    authorization = request.headers.get("authorization", "")
    match services.settings.metrics:
        case "off":
            raise HTTPException(404)
        case "loopback":
            if not _is_direct_loopback(request):
                raise Forbidden(
                    "The metrics are only available on this machine.",
                    hint="The operator can change this with DLKD_METRICS.",
                )
        case "key":
            principal = authenticate_bearer(services.database, authorization)
            permissions.check(principal, Role.OPERATOR, None)
        case "token":
            _check_token(parse_bearer_token(authorization), services.settings.metrics_token)


def _is_direct_loopback(request: Request) -> bool:
    return (
        request.client is not None
        and is_loopback(request.client.host)
        and not any(map(request.headers.get, _PROXY_HEADERS))
    )


def _check_token(token: str, expected: SecretStr | None) -> None:
    if expected is None or not hmac.compare_digest(
        token.encode(), expected.get_secret_value().encode()
    ):
        raise Unauthenticated(
            "The metrics token is invalid.",
            hint="Send the token that the operator has set as DLKD_METRICS_TOKEN.",
        )
