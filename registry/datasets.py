"""Uploaded sets of images: taken in, checked and packed by a worker, then named by jobs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import paging
from registry.db import now
from registry.errors import NotFound
from registry.ids import new_id
from registry.keys import Principal
from registry.store import Stored
from registry.tables import AuditEvent, Dataset
from registry.uploads import NAME_LENGTH, PACKED_FILE, SAMPLES_FILE, UploadStatus, add_check


def create(session: Session, principal: Principal, stored: Stored, *, filename: str, name: str = "") -> Dataset:
    """Takes in a stored archive and queues its check (`check_job_id`, for the hint after the commit)."""
    dataset = Dataset(
        id=new_id("dataset"),
        owner=principal.owner,
        name=(name or filename)[:NAME_LENGTH],
        filename=filename[:NAME_LENGTH],
        sha256=stored.digest,
        size=stored.size,
        status=UploadStatus.VALIDATING,
        created_at=now(session),
    )
    inputs = {"dataset": {"digest": stored.digest, "size": stored.size, "filename": filename}}
    dataset.check_job_id = add_check(session, "check_dataset", owner=principal.owner, subject_id=dataset.id, inputs=inputs).id
    session.add(dataset)
    session.add(
        AuditEvent(
            at=dataset.created_at,
            actor=principal.id,
            action="dataset.created",
            subject=dataset.id,
            data={"sha256": stored.digest},
        )
    )
    session.flush()
    return dataset


def get(session: Session, dataset_id: str) -> Dataset:
    """The data set of that id, or `NotFound`."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no data set {dataset_id}.")
    return dataset


def samples(session: Session, dataset_id: str) -> str:
    """The digest of its picture of samples, or `NotFound`."""
    digest = get(session, dataset_id).samples_sha256
    if digest is None:
        raise NotFound(
            f"There are no samples of {dataset_id}.", hint="They are made by its check; data sets of before have none."
        )
    return digest


def page(session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[Dataset]:
    """Data sets, newest first; of one owner, or of all."""
    return paging.page_of(session, paging.of_owner(select(Dataset), Dataset.owner, owner), Dataset.id, limit=limit, cursor=cursor)


def set_ready(dataset: Dataset, report: dict[str, Any], files: Mapping[str, Stored]) -> None:
    """Takes over what the check found (classes, splits, image, notices) and the files that it made, the packed one at least."""
    dataset.status = UploadStatus.READY
    dataset.classes = report["classes"]
    dataset.splits = report["splits"]
    dataset.image = report["image"]
    dataset.notices = report.get("notices") or []
    dataset.class_counts = report.get("class_counts")
    dataset.packed_sha256 = files[PACKED_FILE].digest
    if SAMPLES_FILE in files:
        dataset.samples = report.get("samples")
        dataset.samples_sha256 = files[SAMPLES_FILE].digest


def set_invalid(dataset: Dataset, error: dict[str, Any]) -> None:
    """The row stays with its error; the file is forgotten after the commit."""
    dataset.status = UploadStatus.INVALID
    dataset.error = error
