"""The tables of models: a version under a name of its owner, its files, and the words that point at it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base
from registry.db import PlainText


class Model(Base):
    """A student, the `version` of that number under a name of its owner. One job makes at most one.

    One that came in a bundle has no job, but `imported`: of which archive, what it was called there, what was checked.
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
    """A file of a model, measured after it was loaded back."""

    __tablename__ = "model_files"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    format: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    size: Mapped[int]
    top1: Mapped[float | None]
    latency_ms: Mapped[float | None]


class ModelName(Base):
    """A name and the last number that was given under it: numbers of versions that were deleted do not come again."""

    __tablename__ = "model_names"

    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int] = mapped_column(Integer)


class ModelAlias(Base):
    """A word such as ``champion`` that points at one version of its name."""

    __tablename__ = "model_aliases"

    owner: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    alias: Mapped[str] = mapped_column(String(63), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    updated_at: Mapped[datetime]


class ModelTag(Base):
    """A word by which a model is found."""

    __tablename__ = "model_tags"
    __table_args__ = (Index("ix_model_tags_found", "tag", "model_id"),)

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(63), primary_key=True)


class Secret(Base):
    """What the service keeps to itself and all its processes share, such as the key that signs addresses of files."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str]
