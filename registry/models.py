"""Distilled students: published by the job that made them, then downloaded, and taught from."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import paging
from registry.db import now
from registry.errors import NotFound
from registry.ids import new_id
from registry.tables import AuditEvent, Job, Model, ModelFile


@dataclass(frozen=True)
class FileRow:
    """An exported file that lies in the store, with what was measured of it."""

    name: str
    format: str
    sha256: str
    size: int
    top1: float | None = None
    latency_ms: float | None = None


def publish(session: Session, job: Job, report: dict[str, Any], files: list[FileRow]) -> Model:
    """Makes the job's model from its report and files. The caller moves the job in the same transaction."""
    model = Model(
        id=new_id("model"),
        job_id=job.id,
        owner=job.owner,
        name=job.name,
        architecture=report["architecture"],
        options=report.get("options") or {},
        parameters=report["parameters"],
        classes=report["classes"],
        normalization=report.get("normalization"),
        metrics=report["metrics"],
        report=report,
        created_at=now(session),
    )
    session.add(model)
    session.flush()
    session.add_all(ModelFile(model_id=model.id, **vars(file)) for file in files)
    session.add(
        AuditEvent(at=model.created_at, actor=job.id, action="model.published", subject=model.id, data={"job_id": job.id})
    )
    session.flush()
    return model


def get(session: Session, model_id: str) -> Model:
    """The model of that id, or `NotFound`."""
    model = session.get(Model, model_id)
    if model is None:
        raise NotFound(f"There is no model {model_id}.")
    return model


def page(session: Session, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Model]:
    """Models, newest first."""
    return paging.page_of(session, select(Model), Model.id, limit=limit, cursor=cursor)


def files(session: Session, model_id: str) -> list[ModelFile]:
    """The model's files by name."""
    return list(session.execute(select(ModelFile).where(ModelFile.model_id == model_id).order_by(ModelFile.name)).scalars())


def file(session: Session, model_id: str, name: str) -> ModelFile:
    """One file of a model, or `NotFound`."""
    row = session.get(ModelFile, (model_id, name))
    if row is None:
        raise NotFound(f"The model {model_id} has no file {name!r}.")
    return row


def checkpoint(session: Session, model_id: str) -> ModelFile | None:
    """The file that a later job can learn from; None where the model was exported without safetensors."""
    query = select(ModelFile).where(ModelFile.model_id == model_id, ModelFile.format == "safetensors").order_by(ModelFile.name)
    return session.execute(query.limit(1)).scalar_one_or_none()
