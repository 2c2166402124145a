"""What was done, by whom, from where."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access_schemas import AuditOut, AuditQuery
from api.deps import Parts
from api.schemas import Page
from registry import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get("", operation_id="list_audit")
def list_audit(parts: Parts, query: Annotated[AuditQuery, Query()]) -> Page[AuditOut]:
    """The audit log, newest first."""
    filters = audit.Filters(**query.model_dump(exclude={"limit", "cursor"}))
    with parts.database.read() as session:
        return Page[AuditOut].model_validate(audit.page(session, filters, limit=query.limit, cursor=query.cursor))
