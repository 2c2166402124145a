"""Students: what they are, how good they are beside each other, where they come from."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from api.changes import delete
from api.deps import Caller, Parts
from api.model_schemas import ComparisonOut, LineageOut, ModelOut, ModelPatch
from api.model_views import comparison_out, model_out, models_out
from api.queries import ModelQuery
from api.schemas import Page
from registry import comparison, lineage, models, removals
from registry.access import Principal
from registry.errors import ComparisonSize
from registry.model_tables import Model

PATH = "/v1/models"
MOST_COMPARED = 20
router = APIRouter(prefix=PATH, tags=["models"])


@router.get("", operation_id="list_models")
def list_models(parts: Parts, caller: Caller, query: Annotated[ModelQuery, Query()]) -> Page[ModelOut]:
    """Models, newest first; those that meet all of the filters."""
    with parts.database.read() as session:
        page = models.page(session, query.filters(caller.visible), limit=query.limit, cursor=query.cursor)
        return Page[ModelOut](items=models_out(session, page.items), next_cursor=page.next_cursor)


@router.get("/compare", operation_id="compare_models")
def compare_models(
    parts: Parts, caller: Caller, ids: Annotated[str, Query(description="2 to 20 ids or name@alias, by commas")]
) -> ComparisonOut:
    """Models side by side: quality, cost, files, accuracy within classes; shares of the first and of their teachers."""
    asked = [one.strip() for one in ids.split(",") if one.strip()]
    if not 2 <= len(asked) <= MOST_COMPARED:
        raise ComparisonSize(f"{len(asked)} models were named.")
    with parts.database.read() as session:
        found = [find(session, caller, one) for one in asked]
        return comparison_out(comparison.compare(found, models.files(session, *{model.id for model in found})))


@router.get("/{model}", operation_id="get_model")
def get_model(model: str, parts: Parts, caller: Caller) -> ModelOut:
    """One model with its files and what was measured of each; by its id, or as name@alias, name@version or name@latest."""
    with parts.database.read() as session:
        return model_out(session, find(session, caller, model))


@router.patch("/{model}", operation_id="change_model")
def change_model(model: str, patch: ModelPatch, parts: Parts, caller: Caller) -> ModelOut:
    """Changes notes and tags."""
    with parts.database.write() as session:
        found = find(session, caller, model)
        models.change(session, found, actor=caller.id, notes=patch.notes, tags=patch.tags)
        return model_out(session, found)


@router.delete("/{model}", operation_id="delete_model", status_code=204)
def delete_model(
    model: str,
    parts: Parts,
    caller: Caller,
    *,
    force: Annotated[bool, Query(description="Also where an alias points at it or a student names it as its teacher")] = False,
) -> None:
    """Deletes a model and its files. Its job stays."""
    delete(parts, lambda session: removals.remove(session, find(session, caller, model), actor=caller.id, force=force))


@router.get("/{model}/lineage", operation_id="get_model_lineage")
def get_model_lineage(model: str, parts: Parts, caller: Caller) -> LineageOut:
    """Jobs, teachers, data sets and code that led to the model, with digests; and the students that it taught."""
    with parts.database.read() as session:
        return LineageOut.model_validate(lineage.graph(session, find(session, caller, model), caller))


def find(session: Session, caller: Principal, reference: str) -> Model:
    """The model that the caller means, if it may see it."""
    return models.find(session, reference, owner=caller.owner, visible=caller.visible)
