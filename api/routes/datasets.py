"""Images to learn on: taken in here, checked and packed by a worker."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api.admission import admit
from api.archives import sniff_archive
from api.caching import has_current
from api.changes import delete
from api.deps import Caller, Cursor, Limit, Once, Parts, Services
from api.schemas import DatasetForm, DatasetOut, Page
from api.uploads import Received, form_body, in_upload_thread, receive
from registry import datasets, discards
from registry.keys import Principal
from registry.tables import Dataset

PATH = "/v1/datasets"
router = APIRouter(prefix=PATH, tags=["datasets"])
_WEBP = "image/webp"
_SAMPLES_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {_WEBP: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "If-None-Match names this very picture"},
}


@router.post(
    "",
    operation_id="create_dataset",
    status_code=201,
    response_model=DatasetOut,
    openapi_extra=form_body(DatasetForm, "zip, tar or tar.gz of train/<class>/... and val/<class>/..."),
)
async def create_dataset(request: Request, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Takes in an archive, sent here or before as an upload. Its status is `validating` until a worker has looked into it."""

    def work() -> dict[str, Any]:
        upload = receive(request, parts, caller, sniff_archive, DatasetForm)
        return _add(parts, caller, key, upload)

    dataset = await in_upload_thread(work, parts.uploads)
    response.headers["Location"] = f"{PATH}/{dataset['id']}"
    return dataset


@router.get("", operation_id="list_datasets")
def list_datasets(parts: Parts, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Page[DatasetOut]:
    """Data sets, newest first."""
    with parts.database.read() as session:
        return Page[DatasetOut].model_validate(datasets.page(session, owner=caller.visible, limit=limit, cursor=cursor))


@router.get("/{dataset_id}", operation_id="get_dataset")
def get_dataset(dataset_id: str, parts: Parts) -> DatasetOut:
    """One data set."""
    with parts.database.read() as session:
        return DatasetOut.model_validate(datasets.get(session, dataset_id))


@router.get("/{dataset_id}/samples", operation_id="get_dataset_samples", response_class=Response, responses=_SAMPLES_ANSWERS)
def get_dataset_samples(request: Request, dataset_id: str, parts: Parts) -> Response:
    """Some images of each class, on one picture."""
    with parts.database.read() as session:
        digest = datasets.samples(session, dataset_id)
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache"}
    if has_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(b"".join(parts.store.read(digest)), headers=headers, media_type=_WEBP)


@router.delete("/{dataset_id}", operation_id="delete_dataset", status_code=204)
def delete_dataset(
    dataset_id: str,
    parts: Parts,
    caller: Caller,
    *,
    force: Annotated[bool, Query(description="Also where the lineage of a model names it")] = False,
) -> None:
    """Deletes a data set and its files. Refused while a job that has not ended learns or is measured on it."""
    delete(parts, lambda session: discards.discard(session, Dataset, dataset_id, actor=caller.id, force=force))


def _add(parts: Services, caller: Principal, key: str | None, upload: Received[DatasetForm]) -> dict[str, Any]:
    def create(session: Session) -> Dataset:
        return datasets.create(session, caller, upload.stored, filename=upload.filename, name=upload.fields.name)

    return admit(parts, caller, key, upload, create, DatasetOut)
