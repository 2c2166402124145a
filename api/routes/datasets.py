"""Datasets: image archives, which a worker checks and packs after the upload."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, PageCursor, PageLimit, ServicesDep
from api.responses import REVALIDATE, WEBP, not_modified, with_location
from api.schemas.base import Page
from api.schemas.dataset_report_schemas import DatasetReportOut
from api.schemas.input_schemas import DatasetForm, DatasetOut
from api.transactions import delete_with_files
from api.uploads.archive_format import sniff_archive
from api.uploads.form_parser import build_form_openapi, receive_form
from api.uploads.upload_intake import register_upload
from registry.db.input_tables import Dataset
from registry.inputs import dataset_reports, datasets, input_deletion

PATH = "/v1/datasets"
router = APIRouter(prefix=PATH, tags=["datasets"])
_IMAGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image.",
        "content": {WEBP: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "The image still matches the ETag."},
}


@router.post(
    "",
    operation_id="create_dataset",
    status_code=201,
    response_model=DatasetOut,
    openapi_extra=build_form_openapi(
        DatasetForm, "A zip, tar or tar.gz archive of `train/<class>/...` and `val/<class>/...`."
    ),
)
async def create_dataset(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Create a dataset from an archive in this request or from a finished upload.

    The status of the dataset is `validating` until a worker has checked it.
    """

    def work() -> dict[str, Any]:
        upload = receive_form(request, services, caller, sniff_archive, DatasetForm)

        def create(session: Session) -> Dataset:
            return datasets.create(
                session, caller, upload.stored, filename=upload.filename, name=upload.fields.name
            )

        return register_upload(services, caller, idempotency_key, upload, create, DatasetOut)

    dataset = await to_thread.run_sync(work, limiter=services.upload_limiter)
    return with_location(response, PATH, dataset)


@router.get("", operation_id="list_datasets")
def list_datasets(
    services: ServicesDep, caller: Caller, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[DatasetOut]:
    """List datasets, newest first."""
    with services.database.read() as session:
        return Page[DatasetOut].model_validate(
            datasets.list_page(session, owner=caller.visible_owner, limit=limit, cursor=cursor)
        )


@router.get("/{dataset_id}", operation_id="get_dataset")
def get_dataset(dataset_id: str, services: ServicesDep) -> DatasetOut:
    """Get a dataset."""
    with services.database.read() as session:
        return DatasetOut.model_validate(datasets.get(session, dataset_id))


@router.get(
    "/{dataset_id}/samples",
    operation_id="get_dataset_samples",
    summary="Get Sample Images",
    response_class=Response,
    responses=_IMAGE_RESPONSES,
)
def get_dataset_samples(request: Request, dataset_id: str, services: ServicesDep) -> Response:
    """Get a WebP image that shows a grid of sample images, grouped by class."""
    with services.database.read() as session:
        digest = datasets.get_samples_digest(session, dataset_id)
    return _send_image(request, services, digest)


@router.get("/{dataset_id}/report", operation_id="get_dataset_report")
def get_dataset_report(dataset_id: str, services: ServicesDep, caller: Caller) -> DatasetReportOut:
    """Get a report about the health of a dataset.

    It was made when the dataset was checked, and covers the balance of the classes, the image
    files, similar class names, duplicates, and images that show little. If a job has verified a
    teacher on the dataset, it also has the evaluation images that may be mislabeled.
    """
    with services.database.read() as session:
        report = dataset_reports.get_report(session, dataset_id)
        label_errors = dataset_reports.find_label_errors(
            session, dataset_id, owner=caller.visible_owner
        )
        return DatasetReportOut.model_validate({**report, "label_errors": label_errors})


@router.get(
    "/{dataset_id}/report/examples",
    operation_id="get_dataset_report_examples",
    summary="Get Example Images",
    response_class=Response,
    responses=_IMAGE_RESPONSES,
)
def get_dataset_report_examples(
    request: Request, dataset_id: str, services: ServicesDep
) -> Response:
    """Get a WebP image that shows the examples of the report, with one row per finding."""
    with services.database.read() as session:
        digest = dataset_reports.get_examples_digest(session, dataset_id)
    return _send_image(request, services, digest)


def _send_image(request: Request, services: ServicesDep, digest: str) -> Response:
    headers = {"ETag": f'"{digest}"', "Cache-Control": REVALIDATE}
    return not_modified(request, headers) or Response(
        b"".join(services.store.read(digest)), headers=headers, media_type=WEBP
    )


@router.delete("/{dataset_id}", operation_id="delete_dataset", status_code=204)
def delete_dataset(
    dataset_id: str,
    services: ServicesDep,
    caller: Caller,
    *,
    force: Annotated[
        bool,
        Query(description="Delete the dataset even if it is part of a model's lineage."),
    ] = False,
) -> None:
    """Delete a dataset and its files.

    This fails while an unfinished job uses the dataset for training or evaluation.
    """
    delete_with_files(
        services,
        lambda session: input_deletion.delete_input(
            session, Dataset, dataset_id, actor=caller.id, force=force
        ),
    )
