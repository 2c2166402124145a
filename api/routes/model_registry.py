"""Registered model names, and the aliases that point to their versions."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import Caller, PageCursor, PageLimit, ServicesDep
from api.routes.models import find_model
from api.schemas.base import Page
from api.schemas.model_schemas import AliasOut, AliasRequest, RegisteredNameOut
from registry.models import aliases
from registry.models.model_names import AliasName

PATH = "/v1/registry"
router = APIRouter(prefix=PATH, tags=["models"])
_AliasPath = Annotated[
    AliasName,
    Path(
        description="Alias, which must start with a letter. `latest` is reserved for the highest "
        "version."
    ),
]


@router.get("", operation_id="list_names", summary="List Registered Names")
def list_names(
    services: ServicesDep, caller: Caller, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[RegisteredNameOut]:
    """List your registered names with their aliases, in reverse alphabetical order.

    `GET /v1/models?name=...` lists the versions of a name.
    """
    with services.database.read() as session:
        return Page[RegisteredNameOut].model_validate(
            aliases.list_page(session, caller.owner, limit=limit, cursor=cursor)
        )


@router.get("/{name}", operation_id="get_name", summary="Get Registered Name")
def get_name(name: str, services: ServicesDep, caller: Caller) -> RegisteredNameOut:
    """Get one of your registered names."""
    with services.database.read() as session:
        return RegisteredNameOut.model_validate(
            aliases.get_registered_model(session, caller.owner, name)
        )


@router.put("/{name}/aliases/{alias}", operation_id="put_alias", summary="Set Alias")
def put_alias(
    name: str, alias: _AliasPath, body: AliasRequest, services: ServicesDep, caller: Caller
) -> AliasOut:
    """Point an alias to a version of a registered name.

    The change is atomic: concurrent requests get either the previous version or the new one.
    """
    with services.database.write() as session:
        model = find_model(session, caller, body.model)
        previous = aliases.set_alias(session, caller.owner, name, alias, model.id, actor=caller.id)
        return AliasOut(name=name, alias=alias, model_id=model.id, previous=previous)


@router.delete("/{name}/aliases/{alias}", operation_id="delete_alias", status_code=204)
def delete_alias(name: str, alias: _AliasPath, services: ServicesDep, caller: Caller) -> None:
    """Delete an alias. The model is kept."""
    with services.database.write() as session:
        aliases.delete_alias(session, caller.owner, name, alias, actor=caller.id)
