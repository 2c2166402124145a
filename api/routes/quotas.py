"""Limits of owners, and what they use of them."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.access_schemas import Limits, Owner, QuotaOut, UsageOut
from api.deps import Caller, Cursor, Limit, Parts
from api.schemas import Page
from registry import audit, quotas

router = APIRouter(prefix="/v1", tags=["quotas"])
OwnerPath = Annotated[Owner, Path()]


@router.get("/usage", operation_id="get_usage")
def get_usage(parts: Parts, caller: Caller) -> UsageOut:
    """What the caller's owner uses, and how much it may."""
    with parts.database.read() as session:
        return UsageOut.model_validate(quotas.usage(session, caller.owner, quotas.Limits.of(parts.settings)))


@router.get("/quotas", operation_id="list_quotas")
def list_quotas(parts: Parts, limit: Limit = 50, cursor: Cursor = None) -> Page[QuotaOut]:
    """Owners that have limits of their own, by name backwards."""
    with parts.database.read() as session:
        page = quotas.page(session, quotas.Limits.of(parts.settings), limit=limit, cursor=cursor)
        return Page[QuotaOut].model_validate(page)


@router.get("/quotas/{owner}", operation_id="get_quota")
def get_quota(owner: OwnerPath, parts: Parts) -> QuotaOut:
    """An owner's limits and use; of any name, used or not."""
    with parts.database.read() as session:
        return QuotaOut.model_validate(quotas.usage(session, owner, quotas.Limits.of(parts.settings)))


@router.put("/quotas/{owner}", operation_id="set_quota")
def set_quota(owner: OwnerPath, limits: Limits, parts: Parts, caller: Caller) -> QuotaOut:
    """Sets an owner's own limits, all of them: null or left out is the service's default."""
    with parts.database.write() as session:
        quotas.put(session, owner, limits.model_dump())
        audit.note(session, caller.id, "quota.set", owner, **limits.model_dump())
        session.flush()
        return QuotaOut.model_validate(quotas.usage(session, owner, quotas.Limits.of(parts.settings)))
