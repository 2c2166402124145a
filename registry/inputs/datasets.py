"""Uploaded data sets, which jobs can use once a worker has checked and packed them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.access.permissions import Principal
from registry.db import pagination
from registry.db.database import filter_equal, require_row
from registry.db.input_tables import Dataset
from registry.errors import NotFound
from registry.inputs.input_creation import create_input
from registry.storage.object_store import StoredFile
from registry.uploads.upload_checks import PACKED_FILE, SAMPLES_FILE, UploadStatus


def create(
    session: Session, principal: Principal, stored: StoredFile, *, filename: str, name: str = ""
) -> Dataset:
    """Create a data set from a stored archive and queue its check.

    After the commit, the caller notifies the queue of the job `check_job_id`.
    """
    return create_input(session, principal, Dataset, stored, filename=filename, name=name)


def get(session: Session, dataset_id: str) -> Dataset:
    """Return a data set.

    Raises:
        NotFound: There is no data set with that id.
    """
    return require_row(session.get(Dataset, dataset_id), f"data set {dataset_id}")


def get_samples_digest(session: Session, dataset_id: str) -> str:
    """Return the digest of a data set's sample image.

    Raises:
        NotFound: There is no data set with that id, or it has no sample image.
    """
    digest = get(session, dataset_id).samples_sha256
    if digest is None:
        raise NotFound(
            f"The data set {dataset_id} has no sample image.",
            hint="The check of the upload creates it. Data sets uploaded to an earlier version of "
            "the service have none.",
        )
    return digest


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[Dataset]:
    """List the data sets of an owner, or of all owners without one, newest first."""
    return pagination.paginate(
        session,
        filter_equal(select(Dataset), (Dataset.owner, owner)),
        Dataset.id,
        limit=limit,
        cursor=cursor,
    )


def set_ready(dataset: Dataset, report: dict[str, Any], files: Mapping[str, StoredFile]) -> None:
    """Store the result of the check: classes, splits, image size, notices and class counts.

    `files` holds the files that the check produced, by name. The packed file is always among them.
    """
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
