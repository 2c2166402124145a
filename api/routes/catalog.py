"""GET /v1/catalog: everything that a job picks by name."""

import json
from functools import cache
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.caching import has_current
from dlkd_core.catalog import describe

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])


class CatalogOut(BaseModel):
    """Each entry has a name, its source and the JSON schema of its parameters."""

    methods: list[dict[str, Any]] = Field(description="How a student learns")
    architectures: list[dict[str, Any]] = Field(description="Networks, as students and teachers")
    timm: dict[str, Any] = Field(description="timm's networks, architectures too, as rows under the names of their columns")
    exporters: list[dict[str, Any]] = Field(description="Formats in which a student leaves")
    evaluations: list[dict[str, Any]] = Field(description="Protocols on the features of the finished student and its teacher")
    sources: list[dict[str, Any]] = Field(description="Forms in which data sets come")


@cache
def _menu() -> tuple[bytes, str]:
    body = json.dumps(describe()).encode()
    return body, f'"{sha256(body).hexdigest()}"'


@router.get("", operation_id="get_catalog", response_model=CatalogOut, responses={304: {"description": "Not modified"}})
def get_catalog(request: Request) -> Response:
    """Everything that a job picks by name, with the JSON schemas of the parameters."""
    body, etag = _menu()
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if has_current(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
