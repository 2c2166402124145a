"""Model aliases such as ``champion``. An alias points to one version of a model name."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.db import pagination
from registry.db.database import group_values, lock_row, now, upsert
from registry.db.model_tables import Model, ModelAlias, ModelName
from registry.errors import AliasMismatch, NotFound


@dataclass(frozen=True)
class RegisteredModel:
    """A model name with its versions and aliases."""

    name: str
    owner: str
    last_version: int
    versions: int  # number of versions
    latest: str | None  # id of the model with the highest version number
    aliases: dict[str, str]  # maps aliases to model ids


def lock_name(session: Session, owner: str, name: str) -> ModelName:
    """Return a model name, locked until the transaction ends.

    While it is locked, its aliases cannot be changed and its versions cannot be deleted.

    Raises:
        NotFound: The owner has no models with that name.
    """
    query = select(ModelName).where(ModelName.owner == owner, ModelName.name == name)
    row = lock_row(session, query)
    if row is None:
        raise _unknown_name(name)
    return row


def set_alias(
    session: Session, owner: str, name: str, alias: str, model_id: str, *, actor: str
) -> str | None:
    """Point an alias to a version of its model name.

    Returns the id of the model to which the alias pointed before, or None for a new alias.

    Raises:
        NotFound: The owner has no models with that name.
        AliasMismatch: The model is not a version of that name.
    """
    lock_name(session, owner, name)
    model = session.get(Model, model_id, populate_existing=True)
    if model is None or (model.owner, model.name) != (owner, name):
        raise AliasMismatch(f"{model_id} is not a version of {name}.", pointer="/model")
    current = session.get(ModelAlias, (owner, name, alias), populate_existing=True)
    previous_id = current.model_id if current else None
    at = now(session)
    row = {
        "owner": owner,
        "name": name,
        "alias": alias,
        "model_id": model_id,
        "updated_at": at,
    }
    upsert(
        session,
        ModelAlias,
        [row],
        keys=["owner", "name", "alias"],
        update=["model_id", "updated_at"],
    )
    change = {"name": name, "alias": alias, "from": previous_id, "to": model_id}
    audit.record_event_at(session, at, actor, "alias.moved", model_id, change)
    session.flush()
    return previous_id


def delete_alias(session: Session, owner: str, name: str, alias: str, *, actor: str) -> None:
    """Delete an alias.

    Raises:
        NotFound: The owner has no models with that name, or the name has no such alias.
    """
    lock_name(session, owner, name)
    row = session.get(ModelAlias, (owner, name, alias), populate_existing=True)
    if row is None:
        raise NotFound(f"{name} has no alias {alias!r}.")
    delete_locked_alias(session, row, actor=actor)


def delete_locked_alias(session: Session, row: ModelAlias, *, actor: str) -> None:
    """Delete an alias. The caller has locked its model name."""
    change = {"name": row.name, "alias": row.alias, "from": row.model_id, "to": None}
    audit.record_event(session, actor, "alias.deleted", row.model_id, **change)
    session.delete(row)
    session.flush()


def aliases_by_model(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the aliases that point to each model, by model id."""
    query = select(ModelAlias.model_id, ModelAlias.alias).where(ModelAlias.model_id.in_(model_ids))
    return group_values(session, query.order_by(ModelAlias.alias), model_ids)


def list_page(
    session: Session, owner: str, *, limit: int = 50, cursor: str | None = None
) -> pagination.Page[RegisteredModel]:
    """List the owner's model names with their aliases, from Z to A."""
    page = pagination.paginate(
        session,
        select(ModelName).where(ModelName.owner == owner),
        ModelName.name,
        limit=limit,
        cursor=cursor,
    )
    return pagination.Page(_load_registered_models(session, owner, page.items), page.next_cursor)


def get_registered_model(session: Session, owner: str, name: str) -> RegisteredModel:
    """Return a model name with its aliases.

    Raises:
        NotFound: The owner has no models with that name.
    """
    row = session.get(ModelName, (owner, name))
    if row is None:
        raise _unknown_name(name)
    return _load_registered_models(session, owner, [row])[0]


def _load_registered_models(
    session: Session, owner: str, rows: Sequence[ModelName]
) -> list[RegisteredModel]:
    names = [row.name for row in rows]
    version_query = (
        select(Model.name, Model.id)
        .where(Model.owner == owner, Model.name.in_(names))
        .order_by(Model.version)
    )
    versions = group_values(session, version_query, names)
    aliases: dict[str, dict[str, str]] = {name: {} for name in names}
    alias_query = (
        select(ModelAlias)
        .where(ModelAlias.owner == owner, ModelAlias.name.in_(names))
        .order_by(ModelAlias.alias)
    )
    for alias in session.execute(alias_query).scalars():
        aliases[alias.name][alias.alias] = alias.model_id
    return [
        RegisteredModel(
            name=row.name,
            owner=owner,
            last_version=row.last_version,
            versions=len(versions[row.name]),
            latest=next(reversed(versions[row.name]), None),
            aliases=aliases[row.name],
        )
        for row in rows
    ]


def _unknown_name(name: str) -> NotFound:
    return NotFound(
        f"You have no models named {name!r}.", hint="GET /v1/registry lists your model names."
    )
