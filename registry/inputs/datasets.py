"""Uploaded datasets, which jobs can use once a worker has checked and packed them."""

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
from registry.uploads.upload_check_jobs import (
    EXAMPLES_FILE,
    PACKED_FILE,
    SAMPLES_FILE,
    UploadStatus,
)


def create(
    session: Session, principal: Principal, stored: StoredFile, *, filename: str, name: str = ""
) -> Dataset:
    """Create a dataset from a stored archive and queue its check.

    After the commit, the caller sends a queue message for the job `check_job_id`.
    """
    return create_input(session, principal, Dataset, stored, filename=filename, name=name)


def get(session: Session, dataset_id: str) -> Dataset:
    """Return a dataset.

    Raises:
        NotFound: There is no dataset with that id.
    """
    return require_row(session.get(Dataset, dataset_id), f"dataset {dataset_id}")


def get_samples_digest(session: Session, dataset_id: str) -> str:
    """Return the digest of a dataset's sample image.

    Raises:
        NotFound: There is no dataset with that id, or it has no sample image.
    """
    digest = get(session, dataset_id).samples_sha256
    if digest is None:
        raise NotFound(
            f"The dataset {dataset_id} has no sample image.",
            hint="The sample image is created when the upload is checked. Datasets uploaded to an "
            "earlier version of the service have none.",
        )
    return digest


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[Dataset]:
    """Return a page of datasets, newest first. If `owner` is None, include all owners."""
    return pagination.paginate(
        session,
        filter_equal(select(Dataset), (Dataset.owner, owner)),
        Dataset.id,
        limit=limit,
        cursor=cursor,
    )


def set_ready(dataset: Dataset, report: dict[str, Any], files: Mapping[str, StoredFile]) -> None:
    """Store the result of the check: classes, splits, image size, notices, counts and report.

    `files` maps names to the files that the check produced. It always contains the packed file.
    """
    dataset.status = UploadStatus.READY
    dataset.classes = report["classes"]
    dataset.splits = report["splits"]
    dataset.image = report["image"]
    dataset.notices = report.get("notices") or []
    dataset.class_counts = report.get("class_counts")
    dataset.report = report.get("report")
    dataset.packed_sha256 = files[PACKED_FILE].digest
    if SAMPLES_FILE in files:
        dataset.samples = report.get("samples")
        dataset.samples_sha256 = files[SAMPLES_FILE].digest
    if EXAMPLES_FILE in files:
        dataset.examples_sha256 = files[EXAMPLES_FILE].digest
