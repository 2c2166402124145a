"""Wire formats of teachers and datasets."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError, from_json

from api.schemas.base import ErrorOut, ResponseModel
from dlkd_core.common import FrozenModel
from dlkd_core.spec import ArchitectureName, Normalization
from dlkd_core.teachers.reading.file_format import CheckpointFormat
from registry.uploads.upload_check_jobs import UploadStatus


def _parse_json_text(value: Any) -> Any:
    """Parse the JSON text that a multipart form carries in place of an object."""
    try:
        return from_json(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError(
            "json_invalid", "Invalid JSON: {reason}", {"reason": str(error)}
        ) from error


class TeacherForm(FrozenModel):
    """Properties of a teacher checkpoint. Omitted properties are detected from the file."""

    name: str = Field("", max_length=200)
    architecture: ArchitectureName | None = None
    num_classes: int | None = Field(None, ge=1, le=1_000_000)
    output: str | None = Field(
        None,
        max_length=1000,
        description="ONNX only: name of the output with the logits. Default: detected.",
    )
    normalization: Annotated[Normalization | None, BeforeValidator(_parse_json_text)] = None


class DatasetForm(FrozenModel):
    """Properties of a dataset."""

    name: str = Field("", max_length=200)


class InputOut(ResponseModel):
    id: str
    name: str
    sha256: str = Field(description="SHA-256 of the uploaded file.")
    size: int = Field(description="Size of the uploaded file in bytes.")
    status: UploadStatus
    error: ErrorOut | None
    created_at: datetime


class TeacherOut(InputOut):
    """An uploaded teacher checkpoint."""

    format: CheckpointFormat
    architecture: str | None = Field(description="Architecture, as declared or detected.")
    options: dict[str, Any] = Field(description="Architecture options.")
    num_classes: int | None = Field(
        description="Number of classes, or 0 if the checkpoint has no classifier. Without a "
        "classifier, only the features are distilled."
    )
    parameters: int | None = Field(description="Parameter count.")
    normalization: dict[str, Any] | None
    notices: list[str] | None = Field(
        description="Notices about how the service read the checkpoint. Null if it was checked by a"
        " version of the service without such notices."
    )


class ImageShapeOut(ResponseModel):
    channels: int
    height: int
    width: int


class SampleGridOut(ResponseModel):
    """Layout of the sample image: a grid with one row of tiles per class."""

    columns: int
    width: int = Field(description="Tile width in pixels.")
    height: int = Field(description="Tile height in pixels.")
    classes: list[int | None] = Field(
        description="Class index of each row. Null for a row of images without labels."
    )


class DatasetOut(InputOut):
    """An uploaded dataset of images."""

    classes: list[str] | None = Field(
        description="Class names in index order. Empty if no image has a label."
    )
    splits: dict[str, int] | None = Field(
        description="Number of images in the train and val splits."
    )
    class_counts: dict[str, list[int]] | None = Field(
        description="Number of images per class in the train and val splits, in class order. All "
        "counts are zero for a split without labels."
    )
    samples: SampleGridOut | None = Field(
        description="Layout of the image that `GET /v1/datasets/{dataset_id}/samples` returns."
    )
    image: ImageShapeOut | None
    notices: list[str] | None = Field(description="Notices about how the service read the dataset.")
