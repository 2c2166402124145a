"""Reports about the health of datasets, and the label errors that teachers find in them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.database import filter_equal
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.errors import NotFound
from registry.inputs import datasets


def get_report(session: Session, dataset_id: str) -> dict[str, Any]:
    """Return the report that was made when the dataset was checked.

    Raises:
        NotFound: There is no dataset with that id, or it has no report.
    """
    report = datasets.get(session, dataset_id).report
    if report is None:
        raise NotFound(
            f"The dataset {dataset_id} has no report.",
            hint="The report is created when the upload is checked. Datasets that an earlier "
            "version of the service checked have none. Upload such a dataset again.",
        )
    return report


def get_examples_digest(session: Session, dataset_id: str) -> str:
    """Return the digest of the image that shows the examples of a dataset's report.

    Raises:
        NotFound: There is no dataset with that id, or its report has no examples.
    """
    digest = datasets.get(session, dataset_id).examples_sha256
    if digest is None:
        raise NotFound(
            f"The report of the dataset {dataset_id} has no example images.",
            hint="There is such an image only if `thumbnails` in the report is not null.",
        )
    return digest


def find_label_errors(
    session: Session, dataset_id: str, *, owner: str | None
) -> dict[str, Any] | None:
    """Return the possible label errors that the latest job on the dataset found, with its model.

    Jobs without a teacher that classifies find none. Only models of `owner` are used, or of all
    owners if it is None.
    """
    label_errors = Model.report["label_errors"]
    query = filter_equal(
        select(Model.id, Model.job_id, label_errors)
        .join(Job, Job.id == Model.job_id)
        .where(Job.dataset_id == dataset_id, label_errors["count"].as_integer().is_not(None))
        .order_by(Model.id.desc())
        .limit(1),
        (Model.owner, owner),
    )
    row = session.execute(query).first()
    if row is None:
        return None
    model_id, job_id, found = row
    return {"model_id": model_id, "job_id": job_id, **found}
