"""Model cards, as JSON or Markdown."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.deps import Caller, ServicesDep
from api.responses import MARKDOWN
from api.routes.models import PATH, ModelReference, find_model
from api.schemas.model_schemas import ModelCardOut
from api.schemas.serializers import serialize_model_file
from dlkd_core.reporting.model_card import build_config, render_model_card
from registry.models import model_versions

router = APIRouter(prefix=PATH, tags=["models"])
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The model card, as JSON or Markdown depending on the Accept header.",
        "content": {MARKDOWN: {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/{model}/card",
    operation_id="get_model_card",
    response_model=ModelCardOut,
    responses=_RESPONSES,
)
def get_model_card(
    request: Request, model: ModelReference, services: ServicesDep, caller: Caller
) -> Any:
    """Get a model card, which describes the model, its quality, its use and its origin.

    With `Accept: text/markdown`, the response is a Markdown document.
    """
    with services.database.read() as session:
        row = find_model(session, caller, model)
        files = [serialize_model_file(file) for file in model_versions.list_files(session, row.id)]
    if MARKDOWN in request.headers.get("accept", ""):
        text = render_model_card(row.report, files, f"{row.name} {row.version}")
        return Response(text, media_type=MARKDOWN, headers={"Vary": "Accept"})
    return ModelCardOut(
        id=row.id,
        name=row.name,
        version=row.version,
        notes=row.notes,
        config=build_config(row.report),
        metrics=row.metrics,
        warnings=row.report.get("warnings") or [],
        files=files,
        lineage=row.report["lineage"],
    )
