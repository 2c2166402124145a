"""The card of a model, for people and for programs."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.deps import Caller, Parts
from api.model_schemas import CardOut
from api.model_views import file_out
from api.routes.models import PATH, find
from dlkd_core.card import card, config
from registry import models

router = APIRouter(prefix=PATH, tags=["models"])
_MARKDOWN = "text/markdown"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The card, as JSON or by Accept as Markdown", "content": {_MARKDOWN: {"schema": {"type": "string"}}}}
}


@router.get("/{model}/card", operation_id="get_model_card", response_model=CardOut, responses=_ANSWERS)
def get_model_card(request: Request, model: str, parts: Parts, caller: Caller) -> Any:
    """What the model is, what it is worth, how it is used and where it comes from; with `Accept: text/markdown` to be read."""
    with parts.database.read() as session:
        found = find(session, caller, model)
        files = [file_out(row) for row in models.files(session, found.id)]
    if _MARKDOWN in request.headers.get("accept", ""):
        text = card(found.report, files, f"{found.name} {found.version}")
        return Response(text, media_type=_MARKDOWN, headers={"Vary": "Accept"})
    known = {"metrics": found.metrics, "lineage": found.report["lineage"], "files": files, "notes": found.notes}
    return CardOut(id=found.id, name=found.name, version=found.version, config=config(found.report), **known)
