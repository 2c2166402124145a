"""The catalog of all options that a job can select by name."""

import json
from functools import cache
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.responses import REVALIDATE, not_modified
from dlkd_core.catalog import describe_catalog

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])


class CatalogOut(BaseModel):
    """The catalog. Each entry has a name, a source and the JSON schema of its parameters."""

    methods: list[dict[str, Any]] = Field(description="Distillation methods.")
    architectures: list[dict[str, Any]] = Field(
        description="Network architectures for students and teachers."
    )
    timm: dict[str, Any] = Field(
        description="Architectures available in timm, as a table with column names and rows."
    )
    exporters: list[dict[str, Any]] = Field(description="Export formats of the student.")
    evaluations: list[dict[str, Any]] = Field(
        description="Protocols that evaluate the features of the finished student and its teacher."
    )
    sources: list[dict[str, Any]] = Field(description="Dataset formats.")


@cache
def _render_catalog() -> tuple[bytes, str]:
    body = json.dumps(describe_catalog()).encode()
    return body, f'"{sha256(body).hexdigest()}"'


@router.get(
    "",
    operation_id="get_catalog",
    response_model=CatalogOut,
    responses={304: {"description": "The catalog still matches the ETag."}},
)
def get_catalog(request: Request) -> Response:
    """Get all options that a job can select by name, with the JSON schemas of their parameters."""
    body, etag = _render_catalog()
    headers = {"ETag": etag, "Cache-Control": REVALIDATE}
    return not_modified(request, headers) or Response(
        body, headers=headers, media_type="application/json"
    )
