"""The declarative base of all tables: naming conventions and default column types."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Integer, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from registry.db.column_types import PlainText, UtcDateTime

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite generates ids only for primary keys of type INTEGER.
AutoId = BigInteger().with_variant(Integer, "sqlite")

# Migrations can change a constraint only if it has a name.
_NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as declared
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[Any]: Json,
        str: PlainText(255),
        int: BigInteger(),
        float: Float(53),
    }
