"""Names of models, and the aliases that point at one of their versions."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import Caller, Cursor, Limit, Parts
from api.model_schemas import AliasForm, AliasOut, NameOut
from api.routes.models import find
from api.schemas import Page
from registry import aliases
from registry.names import AliasName

PATH = "/v1/registry"
router = APIRouter(prefix=PATH, tags=["models"])
_Alias = Annotated[AliasName, Path(description="Begins with a letter; latest is always the highest version")]


@router.get("", operation_id="list_names")
def list_names(parts: Parts, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Page[NameOut]:
    """Your registered names with their aliases, from Z to A. GET /v1/models?name= lists the versions of one."""
    with parts.database.read() as session:
        return Page[NameOut].model_validate(aliases.page(session, caller.owner, limit=limit, cursor=cursor))


@router.get("/{name}", operation_id="get_name")
def get_name(name: str, parts: Parts, caller: Caller) -> NameOut:
    """One of your names."""
    with parts.database.read() as session:
        return NameOut.model_validate(aliases.entry(session, caller.owner, name))


@router.put("/{name}/aliases/{alias}", operation_id="put_alias")
def put_alias(name: str, alias: _Alias, form: AliasForm, parts: Parts, caller: Caller) -> AliasOut:
    """Points the alias at a version of the name, in one step: whoever asks meanwhile gets the old one or the new one."""
    with parts.database.write() as session:
        model = find(session, caller, form.model)
        previous = aliases.point(session, caller.owner, name, alias, model.id, actor=caller.id)
        return AliasOut(name=name, alias=alias, model_id=model.id, previous=previous)


@router.delete("/{name}/aliases/{alias}", operation_id="delete_alias", status_code=204)
def delete_alias(name: str, alias: _Alias, parts: Parts, caller: Caller) -> None:
    """Deletes the alias; the model stays."""
    with parts.database.write() as session:
        aliases.remove(session, caller.owner, name, alias, actor=caller.id)
