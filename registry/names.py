"""Names of models: a word under which versions count up, and words that point at one of them."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from registry.model_tables import ModelName

NAME_LENGTH = 128
LATEST = "latest"  # always the highest version; nobody sets it
RegisteredName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"),
    Field(examples=["cifar10-small"]),
]


def _not_latest(alias: str) -> str:
    if alias == LATEST:
        raise ValueError(f"{LATEST} is always the highest version")
    return alias


# Begins with a letter: a number is a version.
AliasName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,62}$"), AfterValidator(_not_latest), Field(examples=["champion"])
]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$")]


def registered(asked: str | None, *names: str) -> str:
    """The name as asked for, or the first of the others that leaves any after what no name may hold is left out."""
    return asked or next(filter(None, map(_plain, names)), "model")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:NAME_LENGTH].strip("-._")


def next_version(session: Session, owner: str, name: str) -> int:
    """Takes the next number of the name; another transaction that wants one of the same name waits for this one's end."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(ModelName).values(owner=owner, name=name, last_version=1)
    counted = first.on_conflict_do_update(
        index_elements=["owner", "name"], set_={"last_version": ModelName.last_version + 1}
    ).returning(ModelName.last_version)
    return session.execute(counted).scalar_one()


def split(reference: str) -> tuple[str, str] | None:
    """The name and the alias or number in ``name@which``; None for an id."""
    name, at, which = reference.rpartition("@")
    return (name, which) if at else None
