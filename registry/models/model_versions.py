"""Model versions: publication by jobs, import, lookup, listing and changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, delete, exists, insert, or_, select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.access.ownership import check_visible
from registry.access.permissions import Principal
from registry.db import pagination
from registry.db.database import filter_equal, group_values, now
from registry.db.ids import new_id
from registry.db.job_tables import Job
from registry.db.model_tables import Model, ModelAlias, ModelFile, ModelTag
from registry.errors import NotFound
from registry.models import model_names


@dataclass(frozen=True)
class ExportedFile:
    """A stored model file and its measurements. The fields are columns of `ModelFile`."""

    name: str
    format: str
    sha256: str
    size: int
    top1: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class ModelFilters:
    """Filters for a model list. A model must match every filter that is set and have all tags."""

    owner: str | None = None
    name: str | None = None
    search: str | None = None  # substring of the name
    architecture: str | None = None
    tags: tuple[str, ...] = ()
    teacher: str | None = None  # id of an uploaded teacher or of a model
    dataset: str | None = None


def publish(session: Session, job: Job, report: dict[str, Any], files: list[ExportedFile]) -> Model:
    """Create the job's model from its report and files.

    The caller sets the job's status in the same transaction.
    """
    name = model_names.choose_name(job.model_name, job.name, report["architecture"])
    model = _add_version(session, job.owner, name, report, files, job_id=job.id)
    audit.record_event(
        session,
        job.id,
        "model.published",
        model.id,
        job_id=job.id,
        name=name,
        version=model.version,
    )
    session.flush()
    return model


def import_model(
    session: Session,
    principal: Principal,
    report: dict[str, Any],
    files: list[ExportedFile],
    *,
    name: str,
    imported: dict[str, Any],
) -> Model:
    """Create a model from a bundle, with the measurements that the bundle contains.

    `imported` describes the bundle and the checks that it passed.
    """
    model = _add_version(session, principal.owner, name, report, files, imported=imported)
    audit.record_event(
        session,
        principal.id,
        "model.imported",
        model.id,
        name=name,
        version=model.version,
        archive=imported["sha256"],
    )
    session.flush()
    return model


def _add_version(
    session: Session,
    owner: str,
    name: str,
    report: dict[str, Any],
    files: list[ExportedFile],
    **origin: Any,
) -> Model:
    model = Model(
        id=new_id("model"),
        owner=owner,
        name=name,
        version=model_names.next_version(session, owner, name),
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


def get(session: Session, model_id: str, *, visible_owner: str | None = None) -> Model:
    """Return a model.

    Raises:
        NotFound: There is no model with that id, or its owner is not `visible_owner`. If
            `visible_owner` is None, all owners are visible.
    """
    model = session.get(Model, model_id)
    check_visible(model.owner if model else None, visible_owner, f"model {model_id}")
    return cast("Model", model)


def find(
    session: Session, reference: str, *, owner: str, visible_owner: str | None = None
) -> Model:
    """Return a model by its id, or by the owner's ``name@alias`` or ``name@version``.

    Raises:
        NotFound: There is no such model, or a model given by its id does not belong to
            `visible_owner`. If `visible_owner` is None, all owners are visible.
    """
    parts = model_names.parse_reference(reference)
    if parts is None:
        return get(session, reference, visible_owner=visible_owner)
    model = session.execute(_reference_query(owner, *parts)).scalar_one_or_none()
    if model is None:
        raise NotFound(
            f"You have no model {reference}.",
            hint="GET /v1/registry lists your model names with their aliases.",
        )
    return model


def _reference_query(owner: str, name: str, version_or_alias: str) -> Select[Model]:
    versions = select(Model).where(Model.owner == owner, Model.name == name)
    if version_or_alias == model_names.LATEST:
        return versions.order_by(Model.version.desc()).limit(1)
    is_number = version_or_alias.isascii() and version_or_alias.isdecimal()
    if is_number and len(version_or_alias) < 10:  # within the range of the column
        return versions.where(Model.version == int(version_or_alias))
    is_alias = (
        ModelAlias.owner == owner,
        ModelAlias.name == name,
        ModelAlias.alias == version_or_alias,
    )
    return versions.join(ModelAlias, ModelAlias.model_id == Model.id).where(*is_alias)


def list_page(
    session: Session,
    filters: ModelFilters = ModelFilters(),
    *,
    limit: int = 50,
    cursor: str | None = None,
) -> pagination.Page[Model]:
    """Return a page of the models that match the filters, newest first."""
    return pagination.paginate(
        session, _filter_models(filters), Model.id, limit=limit, cursor=cursor
    )


def _filter_models(filters: ModelFilters) -> Select[Model]:
    query = filter_equal(
        select(Model),
        (Model.owner, filters.owner),
        (Model.name, filters.name),
        (Model.architecture, filters.architecture),
    )
    if filters.search:
        query = query.where(Model.name.icontains(filters.search, autoescape=True))
    for tag in filters.tags:
        query = query.where(exists().where(ModelTag.model_id == Model.id, ModelTag.tag == tag))
    job_exists = exists().where(Job.id == Model.job_id)
    if filters.teacher is not None:
        is_teacher = or_(Job.teacher_id == filters.teacher, Job.teacher_model_id == filters.teacher)
        query = query.where(job_exists.where(is_teacher))
    if filters.dataset is not None:
        query = query.where(job_exists.where(Job.dataset_id == filters.dataset))
    return query


def update_model(
    session: Session,
    model: Model,
    *,
    actor: str,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
) -> None:
    """Change the notes and tags of a model. Its name and version never change.

    If `notes` or `tags` is None, the stored value does not change.
    """
    if notes is not None:
        model.notes = notes
    if tags is not None:
        session.execute(delete(ModelTag).where(ModelTag.model_id == model.id))
        if tags:
            session.execute(
                insert(ModelTag), [{"model_id": model.id, "tag": tag} for tag in sorted(set(tags))]
            )
    changes = {
        name: value for name, value in (("notes", notes), ("tags", tags)) if value is not None
    }
    audit.record_event(session, actor, "model.changed", model.id, **changes)
    session.flush()


def tags_by_model(session: Session, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the tags of each model, by model id."""
    query = select(ModelTag.model_id, ModelTag.tag).where(ModelTag.model_id.in_(model_ids))
    return group_values(session, query.order_by(ModelTag.tag), model_ids)


def list_files(session: Session, *model_ids: str) -> list[ModelFile]:
    """List the files of the given models, sorted by model and name."""
    query = (
        select(ModelFile)
        .where(ModelFile.model_id.in_(model_ids))
        .order_by(ModelFile.model_id, ModelFile.name)
    )
    return list(session.execute(query).scalars())


def get_file(session: Session, model_id: str, name: str) -> ModelFile:
    """Return a model file.

    Raises:
        NotFound: The model has no file with that name.
    """
    row = session.get(ModelFile, (model_id, name))
    if row is None:
        raise NotFound(f"The model {model_id} has no file {name!r}.")
    return row


def find_checkpoint(session: Session, model_id: str) -> ModelFile | None:
    """Return the model's safetensors file, which a later job can load as a teacher, or None."""
    query = (
        select(ModelFile)
        .where(ModelFile.model_id == model_id, ModelFile.format == "safetensors")
        .order_by(ModelFile.name)
    )
    return session.execute(query.limit(1)).scalar_one_or_none()
