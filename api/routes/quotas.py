"""Quotas and usage of owners."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import Caller, PageCursor, PageLimit, ServicesDep
from api.schemas.access_schemas import OwnerName, QuotaLimits, QuotaOut, UsageOut
from api.schemas.base import Page
from registry.access import audit, quotas

router = APIRouter(prefix="/v1", tags=["quotas"])
OwnerPath = Annotated[OwnerName, Path()]


@router.get("/usage", operation_id="get_usage")
def get_usage(services: ServicesDep, caller: Caller) -> UsageOut:
    """Get the usage and limits of the owner to which the caller belongs."""
    with services.database.read() as session:
        return UsageOut.model_validate(
            quotas.get_usage(session, caller.owner, services.default_quotas)
        )


@router.get("/quotas", operation_id="list_quotas")
def list_quotas(
    services: ServicesDep, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[QuotaOut]:
    """List the owners for whom quotas are set, in reverse alphabetical order."""
    with services.database.read() as session:
        return Page[QuotaOut].model_validate(
            quotas.list_page(session, services.default_quotas, limit=limit, cursor=cursor)
        )


@router.get("/quotas/{owner}", operation_id="get_quota")
def get_quota(owner: OwnerPath, services: ServicesDep) -> QuotaOut:
    """Get the usage and limits of an owner.

    Unknown owners have zero usage and the default limits.
    """
    with services.database.read() as session:
        return QuotaOut.model_validate(quotas.get_usage(session, owner, services.default_quotas))


@router.put("/quotas/{owner}", operation_id="set_quota")
def set_quota(
    owner: OwnerPath, limits: QuotaLimits, services: ServicesDep, caller: Caller
) -> QuotaOut:
    """Replace all quotas of an owner. For limits that are null or omitted, the default applies."""
    with services.database.write() as session:
        quotas.set_limits(session, owner, limits.model_dump())
        audit.record_event(session, caller.id, "quota.set", owner, **limits.model_dump())
        session.flush()
        return QuotaOut.model_validate(quotas.get_usage(session, owner, services.default_quotas))
