"""Deletion of models, which must be forced if an alias or a student refers to the model."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.db.database import lock_row, require_row
from registry.db.job_tables import Job
from registry.db.model_tables import Model, ModelAlias, ModelFile, ModelTag
from registry.errors import ModelAliased, ModelInUse, ModelUsedAsTeacher
from registry.jobs import lifecycle
from registry.models import aliases


def delete_model(session: Session, model: Model, *, actor: str, force: bool = False) -> list[str]:
    """Delete a model and return the digests of its files, which may now be unused.

    Its aliases and tags are deleted too. Its job is kept and no longer refers to the model.

    Raises:
        NotFound: The model was deleted in the meantime.
        ModelInUse: A job that has not ended uses the model as its teacher.
        ModelAliased: An alias points to the model and `force` is not set.
        ModelUsedAsTeacher: The model was the teacher of another model and `force` is not set.
    """
    aliases.lock_name(session, model.owner, model.name)
    require_row(lock_row(session, select(Model).where(Model.id == model.id)), f"model {model.id}")
    _refuse_in_use(session, model, force=force)
    alias_query = select(ModelAlias).where(ModelAlias.model_id == model.id)
    for alias in session.execute(alias_query).scalars().all():
        if not force:
            raise ModelAliased(
                f"{model.id} was not deleted, because the alias {alias.name}@{alias.alias} points"
                " to it."
            )
        aliases.delete_locked_alias(session, alias, actor=actor)
    digests = list(
        session.execute(select(ModelFile.sha256).where(ModelFile.model_id == model.id)).scalars()
    )
    for table in (ModelFile, ModelTag):
        session.execute(delete(table).where(table.model_id == model.id))
    job = session.get(Job, model.job_id) if model.job_id else None
    if job is not None:
        job.model_id = None
    audit.record_event(
        session,
        actor,
        "model.deleted",
        model.id,
        name=model.name,
        version=model.version,
        job_id=model.job_id,
    )
    session.delete(model)
    session.flush()
    return digests


def _refuse_in_use(session: Session, model: Model, *, force: bool) -> None:
    students = select(Job.id).where(Job.teacher_model_id == model.id).order_by(Job.id).limit(1)
    unfinished_query = students.where(Job.status.not_in(lifecycle.TERMINAL))
    unfinished = session.execute(unfinished_query).scalar_one_or_none()
    if unfinished is not None:
        raise ModelInUse(
            f"{model.id} cannot be deleted, because the job {unfinished} uses it as its teacher."
        )
    # Only jobs that produced a model matter here, because the others have no lineage.
    finished_query = students.where(Job.model_id.is_not(None))
    finished = session.execute(finished_query).scalar_one_or_none()
    if finished is not None and not force:
        raise ModelUsedAsTeacher(
            f"{model.id} was not deleted, because the job {finished} used it as its teacher."
        )
