"""Model names with numbered versions, and references such as ``name@champion``."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy.orm import Session

from registry.db.database import insert_into
from registry.db.model_tables import ModelName

MAX_NAME_LENGTH = 128
LATEST = "latest"  # reserved, because it always means the highest version
RegisteredName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"),
    Field(examples=["cifar10-small"]),
]


def _reject_latest(alias: str) -> str:
    if alias == LATEST:
        raise ValueError(f"{LATEST} always points at the highest version and cannot be set")
    return alias


# An alias must start with a letter, so that it cannot be confused with a version number.
AliasName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,62}$"),
    AfterValidator(_reject_latest),
    Field(examples=["champion"]),
]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$")]


def choose_name(requested: str | None, *candidates: str) -> str:
    """Return the requested name, or else the first candidate that yields a valid name.

    In a candidate, characters that are not allowed in names are replaced with hyphens. If no
    candidate yields a name, "model" is returned.
    """
    return requested or next(filter(None, map(_sanitize_name, candidates)), "model")


def _sanitize_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:MAX_NAME_LENGTH].strip("-._")


def next_version(session: Session, owner: str, name: str) -> int:
    """Reserve the next version number of a name.

    Concurrent transactions that reserve a version of the same name wait until this one ends.
    """
    first = insert_into(session, ModelName).values(owner=owner, name=name, last_version=1)
    incremented = first.on_conflict_do_update(
        index_elements=["owner", "name"], set_={"last_version": ModelName.last_version + 1}
    ).returning(ModelName.last_version)
    return int(session.execute(incremented).scalar_one())


def parse_reference(reference: str) -> tuple[str, str] | None:
    """Split ``name@alias`` or ``name@version`` into its parts, or return None for a model id."""
    name, at, version_or_alias = reference.rpartition("@")
    return (name, version_or_alias) if at else None
