"""Tables of the model registry: versions, files, names, aliases and tags."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.db.base import Base
from registry.db.column_types import PlainText


class Model(Base):
    """A model: one version of a model name. A training job produces at most one model.

    A model that was imported from a bundle has no job. Its `imported` column holds the digest of
    the archive, the name that the model has in the bundle, and the result of the import check.
    """

    __tablename__ = "models"
    __table_args__ = (Index("ix_models_version", "owner", "name", "version", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), unique=True)
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    notes: Mapped[str] = mapped_column(PlainText(4000), default="", server_default="")
    architecture: Mapped[str]
    options: Mapped[dict[str, Any]]
    parameters: Mapped[int]
    classes: Mapped[list[Any]]
    normalization: Mapped[dict[str, Any] | None]
    metrics: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]
    imported: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class ModelFile(Base):
    """A model file. Its accuracy and latency were measured after loading the exported file."""

    __tablename__ = "model_files"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    format: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    size: Mapped[int]
    top1: Mapped[float | None]
    latency_ms: Mapped[float | None]


class ModelName(Base):
    """A model name and its last version number. Numbers of deleted versions are not reused."""

    __tablename__ = "model_names"

    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int] = mapped_column(Integer)


class ModelAlias(Base):
    """An alias such as ``champion`` that points to a version of a model name."""

    __tablename__ = "model_aliases"

    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(String(63), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    updated_at: Mapped[datetime]


class ModelTag(Base):
    """A tag of a model, indexed for search."""

    __tablename__ = "model_tags"
    __table_args__ = (Index("ix_model_tags_found", "tag", "model_id"),)

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(63), primary_key=True)
