"""Models deleted: refused while something still points at them, unless that is said."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import aliases, lifecycle
from registry.db import now
from registry.errors import ModelAliased, ModelInUse, ModelTaught, NotFound
from registry.model_tables import Model, ModelAlias, ModelFile, ModelTag
from registry.tables import AuditEvent, Job


def remove(session: Session, model: Model, *, actor: str, force: bool = False) -> list[str]:
    """Deletes a model with its aliases and tags. Returns digests of files that may have to be forgotten.

    Refused where a job that has not ended learns from it; and, unless forced, where an alias points at it or an ended job
    names it as its teacher. Its job stays, and no longer names it.
    """
    aliases.hold(session, model.owner, model.name)
    locked = select(Model).where(Model.id == model.id).with_for_update().execution_options(populate_existing=True)
    if session.execute(locked).scalar_one_or_none() is None:
        raise NotFound(f"There is no model {model.id}.")
    _check_learners(session, model, force=force)
    for alias in session.execute(select(ModelAlias).where(ModelAlias.model_id == model.id)).scalars().all():
        if not force:
            raise ModelAliased(f"{alias.name}@{alias.alias} is {model.id}.")
        aliases.drop(session, alias, actor=actor)
    digests = list(session.execute(select(ModelFile.sha256).where(ModelFile.model_id == model.id)).scalars())
    for table in (ModelFile, ModelTag):
        session.execute(delete(table).where(table.model_id == model.id))
    job = session.get(Job, model.job_id) if model.job_id else None
    if job is not None:
        job.model_id = None
    facts = {"name": model.name, "version": model.version, "job_id": model.job_id}
    session.add(AuditEvent(at=now(session), actor=actor, action="model.deleted", subject=model.id, data=facts))
    session.delete(model)
    session.flush()
    return digests


def _check_learners(session: Session, model: Model, *, force: bool) -> None:
    """Jobs that ended without a model have no lineage to lose."""
    learners = select(Job.id).where(Job.teacher_model_id == model.id).order_by(Job.id).limit(1)
    working = session.execute(learners.where(Job.status.not_in(lifecycle.TERMINAL))).scalar_one_or_none()
    if working is not None:
        raise ModelInUse(f"The job {working} learns from {model.id}.")
    ended = session.execute(learners.where(Job.model_id.is_not(None))).scalar_one_or_none()
    if ended is not None and not force:
        raise ModelTaught(f"The job {ended} learnt from {model.id}.")
