"""Wire format of the report about a dataset's health."""

from typing import Literal

from pydantic import Field

from api.schemas.base import ResponseModel

FindingKind = Literal[
    "exact_duplicates", "near_duplicates", "black", "white", "constant", "blurred", "odd_shape"
]


class ClassSizeOut(ResponseModel):
    label: int = Field(description="Class index.")
    images: int


class ClassBalanceOut(ResponseModel):
    """The size of a split and its largest and smallest class, which are null without labels."""

    images: int
    largest_class: ClassSizeOut | None
    smallest_class: ClassSizeOut | None
    imbalance: float | None = Field(
        description="Images of the largest class divided by those of the smallest. Null if a class "
        "has no images."
    )


class SideLengthsOut(ResponseModel):
    min: int
    median: float
    max: int


class FileSizeOut(ResponseModel):
    width: int
    height: int
    images: int


class PixelFormatOut(ResponseModel):
    channels: int
    bits: int = Field(description="Bits per channel.")
    images: int


class ImageFilesOut(ResponseModel):
    """The image files as they were uploaded, before they were scaled and converted to RGB."""

    width: SideLengthsOut = Field(description="Widths in pixels.")
    height: SideLengthsOut = Field(description="Heights in pixels.")
    distinct_sizes: int
    sizes: list[FileSizeOut] = Field(description="The 10 most common sizes.")
    formats: list[PixelFormatOut]


class SimilarClassesOut(ResponseModel):
    """Two classes whose names look alike."""

    classes: tuple[int, int] = Field(description="Class indices.")
    difference: Literal["spelling", "plural", "typo"] = Field(
        description="`spelling`: case, spaces, separators or the form in Unicode. `plural`: the "
        "ending of a plural. `typo`: one letter."
    )


class ExampleImageOut(ResponseModel):
    """An image of the dataset."""

    split: Literal["train", "val"]
    index: int = Field(description="Position in the split, in the order of the file names.")
    name: str = Field(description="File name in the archive, or position in an array.")
    label: int | None = Field(description="Class index. Null without a label.")
    group: int = Field(
        description="Number of the group of duplicates that the image belongs to. Other images are "
        "groups of their own."
    )


class FindingOut(ResponseModel):
    """The images that one check found."""

    kind: FindingKind
    train: int = Field(
        description="Number of training images. For duplicates: those that repeat an earlier image "
        "of the split."
    )
    val: int = Field(description="The same for evaluation images.")
    across_splits: int | None = Field(
        description="Number of evaluation images that repeat a training image. Null except for "
        "duplicates."
    )
    label_conflicts: int | None = Field(
        description="Number of groups of duplicates with different labels. Null except for "
        "duplicates."
    )
    row: int | None = Field(
        description="Row of the examples in the image that `GET "
        "/v1/datasets/{dataset_id}/report/examples` returns. Null if nothing was found."
    )
    examples: list[ExampleImageOut] = Field(
        description="Up to 12 images, in the order of the columns."
    )


class ThumbnailsOut(ResponseModel):
    """Layout of the image that shows the examples."""

    columns: int
    width: int = Field(description="Tile width in pixels.")
    height: int = Field(description="Tile height in pixels.")


class LabelErrorOut(ResponseModel):
    """An evaluation image whose label may be wrong."""

    index: int = Field(description="Position in the val split, in the order of the file names.")
    name: str | None = Field(
        description="File name in the archive. Null if an earlier version of the service packed "
        "the dataset."
    )
    label: int
    confidence: float = Field(description="The teacher's probability of the label.")
    suggested_label: int
    suggested_confidence: float = Field(
        description="The teacher's probability of the suggested label."
    )


class LabelErrorsOut(ResponseModel):
    """Evaluation images that may be mislabeled, according to the teacher of a job.

    They are found by confident learning (Northcutt et al. 2021). The better the teacher, the more
    of these labels are wrong.
    """

    model_id: str = Field(description="The student of the latest job that verified a teacher.")
    job_id: str
    images: int = Field(description="Number of images that the teacher classified.")
    count: int = Field(description="Number of images that may be mislabeled.")
    examples: list[LabelErrorOut] = Field(
        description="Up to 24 of these images, the least likely labels first."
    )


class DatasetReportOut(ResponseModel):
    """A report about the health of a dataset."""

    splits: dict[str, ClassBalanceOut] = Field(
        description="The train and val splits, and the test split if there is one."
    )
    test_duplicates: int | None = Field(
        default=None,
        description="Number of test images that are also in the train or val split, with the same "
        "pixels. Null without a test split, and in older reports.",
    )
    majority_top1: float | None = Field(
        description="Top-1 accuracy on the val split, from 0 to 1, of always answering with the "
        "most common class of the train split. Null if the val split has no labels."
    )
    files: ImageFilesOut
    similar_classes: list[SimilarClassesOut] = Field(description="At most 100 pairs.")
    findings: list[FindingOut] = Field(
        description="The results of all checks, including those that found nothing."
    )
    thumbnails: ThumbnailsOut | None = Field(description="Null if no finding has examples.")
    label_errors: LabelErrorsOut | None = Field(
        description="Null until a job has verified a teacher with a classifier on the dataset."
    )
