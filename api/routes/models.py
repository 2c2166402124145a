"""Models: list, get, compare, change and delete them, and trace their lineage."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy.orm import Session

from api.deps import Caller, ServicesDep
from api.schemas.base import Page
from api.schemas.model_schemas import ComparisonOut, LineageOut, ModelOut, ModelPatch
from api.schemas.query_params import ModelQuery
from api.schemas.serializers import serialize_comparison, serialize_model, serialize_models
from api.transactions import delete_with_files
from registry.access.permissions import Principal
from registry.db.model_tables import Model
from registry.errors import ComparisonSizeInvalid
from registry.models import comparison, lineage, model_deletion, model_versions

PATH = "/v1/models"
MAX_COMPARED = 20
router = APIRouter(prefix=PATH, tags=["models"])
ModelReference = Annotated[
    str,
    Path(description="Model id, `name@version`, `name@alias` or `name@latest`."),
]


@router.get("", operation_id="list_models")
def list_models(
    services: ServicesDep, caller: Caller, query: Annotated[ModelQuery, Query()]
) -> Page[ModelOut]:
    """List the models that match all filters, newest first."""
    with services.database.read() as session:
        page = model_versions.list_page(
            session, query.to_filters(caller.visible_owner), limit=query.limit, cursor=query.cursor
        )
        return Page[ModelOut](
            items=serialize_models(session, page.items), next_cursor=page.next_cursor
        )


@router.get("/compare", operation_id="compare_models")
def compare_models(
    services: ServicesDep,
    caller: Caller,
    ids: Annotated[
        str,
        Query(
            description="2 to 20 models, comma-separated. Each is an id, `name@version` or "
            "`name@alias`."
        ),
    ],
) -> ComparisonOut:
    """Compare models by quality, cost, files and accuracy per class.

    The response includes the ratios of each model's values to those of the first model and to those
    of its own teacher.
    """
    references = [reference.strip() for reference in ids.split(",") if reference.strip()]
    if not 2 <= len(references) <= MAX_COMPARED:
        raise ComparisonSizeInvalid(
            f"A comparison takes 2 to {MAX_COMPARED} models, not {len(references)}."
        )
    with services.database.read() as session:
        models = [find_model(session, caller, reference) for reference in references]
        files = model_versions.list_files(session, *{model.id for model in models})
        return serialize_comparison(comparison.compare_models(models, files))


@router.get("/{model}", operation_id="get_model")
def get_model(model: ModelReference, services: ServicesDep, caller: Caller) -> ModelOut:
    """Get a model with its files and their measurements."""
    with services.database.read() as session:
        return serialize_model(session, find_model(session, caller, model))


@router.patch("/{model}", operation_id="change_model")
def change_model(
    model: ModelReference, patch: ModelPatch, services: ServicesDep, caller: Caller
) -> ModelOut:
    """Change the notes or tags of a model."""
    with services.database.write() as session:
        row = find_model(session, caller, model)
        model_versions.update_model(
            session, row, actor=caller.id, notes=patch.notes, tags=patch.tags
        )
        return serialize_model(session, row)


@router.delete("/{model}", operation_id="delete_model", status_code=204)
def delete_model(
    model: ModelReference,
    services: ServicesDep,
    caller: Caller,
    *,
    force: Annotated[
        bool,
        Query(
            description="Delete the model even if an alias points to it or it was the teacher of "
            "another model."
        ),
    ] = False,
) -> None:
    """Delete a model and its files. Its job is kept."""
    delete_with_files(
        services,
        lambda session: model_deletion.delete_model(
            session, find_model(session, caller, model), actor=caller.id, force=force
        ),
    )


@router.get("/{model}/lineage", operation_id="get_model_lineage")
def get_model_lineage(model: ModelReference, services: ServicesDep, caller: Caller) -> LineageOut:
    """Get the jobs, teachers, datasets and code versions behind a model, with their digests.

    Students that were distilled from the model are included.
    """
    with services.database.read() as session:
        return LineageOut.model_validate(
            lineage.build_graph(session, find_model(session, caller, model), caller)
        )


def find_model(session: Session, caller: Principal, reference: str) -> Model:
    """Return the model with this id, `name@version` or `name@alias`, if the caller may see it.

    Raises:
        NotFound: There is no such model, or it belongs to another owner.
    """
    return model_versions.find(
        session, reference, owner=caller.owner, visible_owner=caller.visible_owner
    )
