"""Dependencies of the routes: the shared services, the caller and common parameters."""

from dataclasses import dataclass
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from api.schemas.base import CURSOR_DESCRIPTION, LIMIT_DESCRIPTION
from registry.access.permissions import Principal
from registry.access.quotas import QuotaLimits
from registry.db.database import Database
from registry.jobs.job_queue import JobQueue
from registry.settings import Settings
from registry.storage.object_store import Store


@dataclass(frozen=True)
class Services:
    """The shared services that `create_app` received. Routes use them instead of globals."""

    settings: Settings
    database: Database
    queue: JobQueue
    store: Store
    # Uploads run in a few separate threads, so that slow ones block only other uploads.
    upload_limiter: CapacityLimiter

    @property
    def default_quotas(self) -> QuotaLimits:
        """Quotas that apply to owners for whom none are set."""
        return QuotaLimits.from_settings(self.settings)


def _get_services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def _get_caller(request: Request) -> Principal:
    # Set by AuthenticationMiddleware.
    return cast("Principal", request.state.principal)


# This only documents the key in OpenAPI. AuthenticationMiddleware checks the key.
bearer_auth = Security(
    HTTPBearer(
        auto_error=False,
        scheme_name="key",
        description="API key of this service: `Authorization: Bearer dlkd_…`",
    )
)

ServicesDep = Annotated[Services, Depends(_get_services)]
Caller = Annotated[Principal, Depends(_get_caller)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Unique key for this request. If the request is sent again with the same key "
        "within a day, it is not executed again, and the first response is returned.",
    ),
]
PageLimit = Annotated[int, Query(ge=1, description=LIMIT_DESCRIPTION)]
PageCursor = Annotated[str | None, Query(description=CURSOR_DESCRIPTION)]
