"""Students: published by the job that made them, or taken in, as versions under a name; then found, downloaded, taught from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, delete, exists, insert, or_, select
from sqlalchemy.orm import Session

from registry import audit, names, paging
from registry.access import Principal, see
from registry.db import now
from registry.errors import NotFound
from registry.ids import new_id
from registry.model_tables import Model, ModelAlias, ModelFile, ModelTag
from registry.tables import AuditEvent, Job


@dataclass(frozen=True)
class FileRow:
    """An exported file that lies in the store, with what was measured of it."""

    name: str
    format: str
    sha256: str
    size: int
    top1: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Filters:
    """Which models: those that meet all that is given. `teacher` is an uploaded one or a model; of tags all must be there."""

    owner: str | None = None
    name: str | None = None
    search: str | None = None  # part of the name
    architecture: str | None = None
    tags: tuple[str, ...] = ()
    teacher: str | None = None
    dataset: str | None = None


def publish(session: Session, job: Job, report: dict[str, Any], files: list[FileRow]) -> Model:
    """Makes the job's model from its report and files. The caller moves the job in the same transaction."""
    name = names.registered(job.model_name, job.name, report["architecture"])
    model = _add(session, job.owner, name, report, files, job_id=job.id)
    facts = {"job_id": job.id, "name": name, "version": model.version}
    audit.note(session, job.id, "model.published", model.id, **facts)
    session.flush()
    return model


def take_in(
    session: Session, principal: Principal, report: dict[str, Any], files: list[FileRow], *, name: str, imported: dict[str, Any]
) -> Model:
    """Makes a model of what came in a bundle, as it was measured there; `imported` says of which, and what was checked here."""
    model = _add(session, principal.owner, name, report, files, imported=imported)
    facts = {"name": name, "version": model.version, "archive": imported["sha256"]}
    audit.note(session, principal.id, "model.imported", model.id, **facts)
    session.flush()
    return model


def _add(session: Session, owner: str, name: str, report: dict[str, Any], files: list[FileRow], **origin: Any) -> Model:
    """The next version under the owner's name."""
    model = Model(
        id=new_id("model"),
        owner=owner,
        name=name,
        version=names.next_version(session, owner, name),
        notes="",
        architecture=report["architecture"],
        options=report.get("options") or {},
        parameters=report["parameters"],
        classes=report["classes"],
        normalization=report.get("normalization"),
        metrics=report["metrics"],
        report=report,
        created_at=now(session),
        **origin,
    )
    session.add(model)
    session.flush()
    session.add_all(ModelFile(model_id=model.id, **vars(file)) for file in files)
    return model


def get(session: Session, model_id: str, *, visible: str | None = None) -> Model:
    """The model of that id, or `NotFound`; `visible` is the only owner whose models are seen, None: all."""
    model = session.get(Model, model_id)
    see(model.owner if model else None, visible, f"model {model_id}")
    return cast("Model", model)


def find(session: Session, reference: str, *, owner: str, visible: str | None = None) -> Model:
    """The model of that id, or under the owner's name the one of that alias or number: ``name@champion``, ``name@3``."""
    parts = names.split(reference)
    if parts is None:
        return get(session, reference, visible=visible)
    model = session.execute(_pointed(owner, *parts)).scalar_one_or_none()
    if model is None:
        raise NotFound(f"You have no model {reference}.", hint="GET /v1/registry lists your names with their aliases.")
    return model


def _pointed(owner: str, name: str, which: str) -> Select[Model]:
    mine = select(Model).where(Model.owner == owner, Model.name == name)
    if which == names.LATEST:
        return mine.order_by(Model.version.desc()).limit(1)
    if which.isascii() and which.isdecimal() and len(which) < 10:  # what the column holds
        return mine.where(Model.version == int(which))
    key = (ModelAlias.owner == owner, ModelAlias.name == name, ModelAlias.alias == which)
    return mine.join(ModelAlias, ModelAlias.model_id == Model.id).where(*key)


def page(session: Session, filters: Filters = Filters(), *, limit: int = 50, cursor: str | None = None) -> paging.Page[Model]:
    """Models, newest first."""
    return paging.page_of(session, _chosen(filters), Model.id, limit=limit, cursor=cursor)


def _chosen(filters: Filters) -> Select[Model]:
    query = select(Model)
    equal = ((Model.owner, filters.owner), (Model.name, filters.name), (Model.architecture, filters.architecture))
    for column, wanted in equal:
        if wanted is not None:
            query = query.where(column == wanted)
    if filters.search:
        query = query.where(Model.name.icontains(filters.search, autoescape=True))
    for tag in filters.tags:
        query = query.where(exists().where(ModelTag.model_id == Model.id, ModelTag.tag == tag))
    made = exists().where(Job.id == Model.job_id)
    if filters.teacher is not None:
        query = query.where(made.where(or_(Job.teacher_id == filters.teacher, Job.teacher_model_id == filters.teacher)))
    return query.where(made.where(Job.dataset_id == filters.dataset)) if filters.dataset is not None else query


def change(session: Session, model: Model, *, actor: str, notes: str | None = None, tags: Sequence[str] | None = None) -> None:
    """Sets notes and tags, those of them that are given. Name and version stay what they were published as."""
    if notes is not None:
        model.notes = notes
    if tags is not None:
        session.execute(delete(ModelTag).where(ModelTag.model_id == model.id))
        if tags:
            session.execute(insert(ModelTag), [{"model_id": model.id, "tag": tag} for tag in sorted(set(tags))])
    facts = {name: value for name, value in (("notes", notes), ("tags", tags)) if value is not None}
    session.add(AuditEvent(at=now(session), actor=actor, action="model.changed", subject=model.id, data=facts))
    session.flush()


def tags_of(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each of the models."""
    found: dict[str, list[str]] = {model_id: [] for model_id in model_ids}
    query = select(ModelTag).where(ModelTag.model_id.in_(model_ids)).order_by(ModelTag.tag)
    for row in session.execute(query).scalars():
        found[row.model_id].append(row.tag)
    return found


def files(session: Session, *model_ids: str) -> list[ModelFile]:
    """The models' files by name."""
    query = select(ModelFile).where(ModelFile.model_id.in_(model_ids)).order_by(ModelFile.model_id, ModelFile.name)
    return list(session.execute(query).scalars())


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
