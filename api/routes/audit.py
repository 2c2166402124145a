"""Audit log."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServicesDep
from api.schemas.access_schemas import AuditEventOut
from api.schemas.base import Page
from api.schemas.query_params import AuditQuery
from registry.access import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get("", operation_id="list_audit", summary="List Audit Log Entries")
def list_audit(services: ServicesDep, query: Annotated[AuditQuery, Query()]) -> Page[AuditEventOut]:
    """List the audit log entries that match all filters, newest first."""
    filters = audit.AuditFilters(**query.model_dump(exclude={"limit", "cursor"}))
    with services.database.read() as session:
        return Page[AuditEventOut].model_validate(
            audit.list_page(session, filters, limit=query.limit, cursor=query.cursor)
        )
