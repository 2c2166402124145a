"""Aliases of models: words of a name, such as ``champion``, each pointing at one of its versions."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry import paging
from registry.db import now, upsert
from registry.errors import AliasElsewhere, NotFound
from registry.model_tables import Model, ModelAlias, ModelName
from registry.tables import AuditEvent


@dataclass(frozen=True)
class Entry:
    """A name with what is under it now; aliases by their word."""

    name: str
    owner: str
    last_version: int
    versions: int
    latest: str | None
    aliases: dict[str, str]


def hold(session: Session, owner: str, name: str) -> ModelName:
    """The name's row, locked: its aliases do not move and its versions are not deleted before the transaction ends."""
    mine = select(ModelName).where(ModelName.owner == owner, ModelName.name == name).with_for_update()
    row = session.execute(mine).scalar_one_or_none()
    if row is None:
        raise NotFound(f"You have no models called {name!r}.", hint="GET /v1/registry lists your names.")
    return row


def point(session: Session, owner: str, name: str, alias: str, model_id: str, *, actor: str) -> str | None:
    """Points the alias at a version of its name; returns the id of the one that it pointed at before."""
    hold(session, owner, name)
    model = session.get(Model, model_id, populate_existing=True)
    if model is None or (model.owner, model.name) != (owner, name):
        raise AliasElsewhere(f"{model_id} is no version of {name}.", pointer="/model")
    old = session.get(ModelAlias, (owner, name, alias), populate_existing=True)
    before = old.model_id if old else None
    at = now(session)
    row = {"owner": owner, "name": name, "alias": alias, "model_id": model_id, "updated_at": at}
    upsert(session, ModelAlias, [row], keys=["owner", "name", "alias"], update=["model_id", "updated_at"])
    facts = {"name": name, "alias": alias, "from": before, "to": model_id}
    session.add(AuditEvent(at=at, actor=actor, action="alias.moved", subject=model_id, data=facts))
    session.flush()
    return before


def remove(session: Session, owner: str, name: str, alias: str, *, actor: str) -> None:
    """Deletes the alias; `NotFound` where there is none."""
    hold(session, owner, name)
    row = session.get(ModelAlias, (owner, name, alias), populate_existing=True)
    if row is None:
        raise NotFound(f"{name} has no alias {alias!r}.")
    drop(session, row, actor=actor)


def drop(session: Session, row: ModelAlias, *, actor: str) -> None:
    """Deletes an alias whose name is held."""
    facts = {"name": row.name, "alias": row.alias, "from": row.model_id, "to": None}
    session.add(AuditEvent(at=now(session), actor=actor, action="alias.deleted", subject=row.model_id, data=facts))
    session.delete(row)
    session.flush()


def of(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """The aliases that point at each of the models."""
    found: dict[str, list[str]] = {model_id: [] for model_id in model_ids}
    query = select(ModelAlias).where(ModelAlias.model_id.in_(model_ids)).order_by(ModelAlias.alias)
    for row in session.execute(query).scalars():
        found[row.model_id].append(row.alias)
    return found


def page(session: Session, owner: str, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Entry]:
    """The owner's names with their aliases, from Z to A."""
    found = paging.page_of(session, select(ModelName).where(ModelName.owner == owner), ModelName.name, limit=limit, cursor=cursor)
    return paging.Page(_entries(session, owner, found.items), found.next_cursor)


def entry(session: Session, owner: str, name: str) -> Entry:
    """One name, or `NotFound`."""
    row = session.get(ModelName, (owner, name))
    if row is None:
        raise NotFound(f"You have no models called {name!r}.", hint="GET /v1/registry lists your names.")
    return _entries(session, owner, [row])[0]


def _entries(session: Session, owner: str, rows: Sequence[ModelName]) -> list[Entry]:
    wanted = [row.name for row in rows]
    mine = (Model.owner == owner, Model.name.in_(wanted))
    counted = select(Model.name, func.count(), func.max(Model.version)).where(*mine).group_by(Model.name)
    counts = {name: (versions, highest) for name, versions, highest in session.execute(counted).all()}
    aliases: dict[str, dict[str, str]] = {name: {} for name in wanted}
    pointing = select(ModelAlias).where(ModelAlias.owner == owner, ModelAlias.name.in_(wanted)).order_by(ModelAlias.alias)
    for alias in session.execute(pointing).scalars():
        aliases[alias.name][alias.alias] = alias.model_id
    highest = select(Model.name, Model.version, Model.id).where(*mine)
    ids = {(name, version): model_id for name, version, model_id in session.execute(highest).all()}
    return [
        Entry(
            name=row.name,
            owner=owner,
            last_version=row.last_version,
            versions=counts.get(row.name, (0, 0))[0],
            latest=ids.get((row.name, counts.get(row.name, (0, 0))[1])),
            aliases=aliases[row.name],
        )
        for row in rows
    ]
