"""Numbers for Prometheus. A page of operators, not of clients: it is not in the API's description."""

import hmac

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from api.deps import Parts, Services
from api.identity import bearer_of, verify
from registry import access
from registry.access import Role
from registry.addresses import is_loopback
from registry.errors import Forbidden, Unauthenticated

PATH = "/metrics"
_HANDED_ON = ("forwarded", "x-forwarded-for", "x-real-ip", "via")  # a proxy's own address says nothing about who asks
router = APIRouter()


@router.get(PATH, include_in_schema=False)
def get_metrics(request: Request, parts: Parts) -> Response:
    """In the text format that the scraper asks for."""
    _admit(request, parts)
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.metrics), headers={"Content-Type": kind, "Cache-Control": "no-store"})


def _admit(request: Request, parts: Services) -> None:
    match parts.settings.metrics:
        case "off":
            raise HTTPException(404)
        case "loopback":
            if not _from_here(request):
                raise Forbidden("The metrics are for this machine alone.", hint="An operator opens them with DLKD_METRICS.")
        case "key":
            access.check(verify(parts.database, request.headers.get("authorization", "")), Role.OPERATOR, None)
        case "token":
            _compare(bearer_of(request.headers.get("authorization", "")), parts.settings.metrics_token)


def _from_here(request: Request) -> bool:
    return request.client is not None and is_loopback(request.client.host) and not any(map(request.headers.get, _HANDED_ON))


def _compare(given: str, token: SecretStr | None) -> None:
    if token is None or not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise Unauthenticated("This is not the token of the metrics.", hint="It is in the operator's DLKD_METRICS_TOKEN.")
