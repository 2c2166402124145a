"""What routes ask for: the parts of the service, and who is asking."""

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from registry.db import Database
from registry.keys import Principal
from registry.queue import Queue
from registry.settings import Settings
from registry.store import Store


@dataclass(frozen=True)
class Services:
    """Everything that the doors hand in; nothing is global."""

    settings: Settings
    database: Database
    queue: Queue
    store: Store
    uploads: CapacityLimiter  # how many are taken in at once


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _caller(request: Request) -> Principal:
    principal: Principal = request.state.principal  # set by `api.middleware.Keys`, before the body was read
    return principal


# Documents the key in OpenAPI; `api.middleware.Keys` has checked it by then.
bearer = Security(
    HTTPBearer(auto_error=False, scheme_name="key", description="A key of this service: `Authorization: Bearer dlkd_…`")
)

Parts = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_caller)]
Once = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, description="The same request sent again within a day is done once"
    ),
]
Limit = Annotated[int, Query(ge=1, description="At most so many; more than 200 means 200")]
Cursor = Annotated[str | None, Query(description="The next_cursor of the page before")]
