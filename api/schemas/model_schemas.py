"""Wire formats of models, and of their files, names, aliases, lineage and comparison."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import ResponseModel
from dlkd_core.common import FrozenModel
from registry.jobs.job_request import Notes
from registry.models.import_checks import ImportCheckStatus
from registry.models.lineage import NodeKind, Relation
from registry.models.model_names import RegisteredName, Tag

_Ratio = Annotated[
    float | None, Field(description="Ratio of two values. Null if either of them is unknown.")
]


_METRICS_DESCRIPTION = (
    "Metrics of the `student`, its `teacher` and its `baseline`, measured on the val split. "
    "Accuracies are from 0 to 1. `baseline` is the same network trained on the labels alone, or "
    "null if the job did not ask for one: `top1`, the number of `images`, `gain` (accuracy of the "
    "student minus that of the baseline), `gain_interval` (half-width of the 95 % interval of the "
    "gain over the images), `steps` and `seconds` of its training. `test` has the metrics of the "
    "`student` and the `teacher` on the test split, which is measured once after training, or null "
    "if the dataset has no test split beside its val split."
)


class ModelOrigin(StrEnum):
    DISTILLED = "distilled"
    IMPORTED = "imported"


class ModelFileOut(ResponseModel):
    """A model file, with measurements taken after it was exported and loaded back."""

    name: str
    format: str
    size: int = Field(description="Size in bytes.")
    sha256: str
    top1: float | None = Field(description="Top-1 accuracy on the val split, from 0 to 1.")
    latency_ms: float | None = Field(description="Latency for one image in milliseconds.")
    url: str = Field(description="URL path for downloading the file.")


class ImportCheckOut(ResponseModel):
    """Result of the import check, in which a worker loads and runs the model's files."""

    status: ImportCheckStatus
    tried: list[str] = Field(description="Names of the files that were loaded and run.")
    left_out: list[str] = Field(
        description="Names of the files that were skipped, because loading a file of their "
        "format can run code."
    )
    error: dict[str, Any] | None = Field(
        description="Error with its code, message and hint. Null unless the check failed."
    )


class ImportInfoOut(ResponseModel):
    """The bundle that a model was imported from, and the checks that it passed."""

    sha256: str = Field(description="SHA-256 of the bundle.")
    name: str = Field(description="Name of the model in the service that exported it.")
    version: int | None = Field(description="Version of the model in the service that exported it.")
    checked: list[str] = Field(
        description="The checks that the bundle passed. `archive`: the archive contains only "
        "regular files within the size limits. `manifest` and `report`: both are valid and "
        "consistent. `sha256`: every file matches its digest. Accuracy is taken from the report "
        "and not measured again."
    )
    trial: ImportCheckOut | None = Field(
        None,
        description="Result of the import check. Null for models imported without this check.",
    )


class ModelImportForm(FrozenModel):
    """Properties of an imported model."""

    name: RegisteredName | None = Field(
        None,
        description="Model name. The model becomes the next version with this name. Defaults to "
        "the name in the bundle.",
    )
    notes: Notes = ""


class ModelOut(ResponseModel):
    """A student model that was distilled here or imported from a bundle."""

    id: str
    job_id: str | None = Field(
        description="Id of the job that produced the model. Null for an imported model."
    )
    origin: ModelOrigin
    imported: ImportInfoOut | None = Field(
        description="Bundle from which the model was imported. Null for a model that was "
        "distilled here. The metrics of an imported model were measured before its export."
    )
    owner: str
    name: str = Field(description="Model name. The versions with this name are numbered from 1.")
    version: int
    aliases: list[str]
    tags: list[str]
    notes: str
    architecture: str
    options: dict[str, Any] = Field(description="Architecture options.")
    parameters: int = Field(description="Parameter count.")
    classes: list[str] = Field(description="Class names in index order.")
    normalization: dict[str, Any] | None
    metrics: dict[str, Any] = Field(description=_METRICS_DESCRIPTION)
    warnings: list[str] = Field(
        description="Reasons to doubt the model, such as a teacher that does not fit the dataset."
    )
    files: list[ModelFileOut]
    created_at: datetime


class ModelPatch(FrozenModel):
    """Changes to a model. Omitted fields stay unchanged.

    Name and version cannot be changed, because other programs may rely on them.
    """

    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=32)] | None = Field(
        None, description="New tags of the model. They replace all existing tags."
    )


class RegisteredNameOut(ResponseModel):
    """A registered model name with its versions and aliases."""

    name: str
    owner: str
    last_version: int = Field(
        description="Highest version number so far. Numbers of deleted versions are not reused."
    )
    versions: int = Field(description="Number of existing versions.")
    latest: str | None = Field(description="Id of the existing version with the highest number.")
    aliases: dict[str, str] = Field(description="Model ids, keyed by alias.")


class AliasRequest(FrozenModel):
    """The target of an alias."""

    model: str = Field(
        description="Model id or `name@version`. The model must be a version of the registered "
        "name in the path.",
        examples=["model_01jd…", "cifar10-small@3"],
    )


class AliasOut(ResponseModel):
    """An alias and its current target."""

    name: str
    alias: str
    model_id: str
    previous: str | None = Field(description="Model id that the alias pointed to before.")


class LineageNodeOut(ResponseModel):
    """A model, job, teacher, dataset, published checkpoint (`pretrained`) or imported bundle."""

    id: str
    kind: NodeKind
    name: str
    facts: dict[str, Any]
    deleted: bool = Field(
        description="Whether the model, teacher or dataset has been deleted. If so, `name` and "
        "`facts` were recorded by the job that used it."
    )


class LineageEdgeOut(ResponseModel):
    """A directed edge: how one node contributed to another."""

    source: str
    target: str
    relation: Relation


class LineageOut(ResponseModel):
    """Lineage of a model, from the first teacher to the students distilled from the model."""

    nodes: list[LineageNodeOut]
    edges: list[LineageEdgeOut]


class ComparedFileOut(ResponseModel):
    """A file of one of the models in a comparison.

    Ratios are relative to the first model's file of the same format.
    """

    name: str
    format: str
    size: int
    top1: float | None
    latency_ms: float | None
    size_ratio: _Ratio
    latency_ratio: _Ratio


class ComparedModelOut(ResponseModel):
    """One of the models in a comparison.

    Each ratio is this model's value of top1, parameters, macs, latency_ms or throughput, divided by
    the value of the model that it is compared with.
    """

    id: str
    name: str
    version: int
    architecture: str
    numbers: dict[str, float | None] = Field(
        description="Quality and cost, under the same names as in the model's metrics."
    )
    files: list[ComparedFileOut]
    against_first: dict[str, float | None] = Field(
        description="Ratios to the values of the first model."
    )
    against_teacher: dict[str, float | None] | None = Field(
        description="Ratios to the values of the model's teacher. Null if the model has no teacher."
    )


class ComparedClassOut(ResponseModel):
    """Accuracy on one of the first model's classes, with one entry per compared model."""

    name: str
    top1: list[float | None] = Field(description="Top-1 accuracy of each model, from 0 to 1.")
    difference: list[float | None] = Field(
        description="Accuracy of each model minus that of the first model."
    )


class ComparisonOut(ResponseModel):
    """A comparison of models, in the requested order."""

    models: list[ComparedModelOut]
    classes: list[ComparedClassOut]


class ModelCardOut(ResponseModel):
    """A model card, which describes the model, its quality and its origin."""

    id: str
    name: str
    version: int
    notes: str
    config: dict[str, Any] = Field(
        description="Architecture, options, classes, image size, normalization, parameter count "
        "and input format."
    )
    metrics: dict[str, Any] = Field(description=_METRICS_DESCRIPTION)
    warnings: list[str] = Field(
        description="Reasons to doubt the model, such as a teacher that does not fit the dataset."
    )
    files: list[ModelFileOut]
    lineage: dict[str, Any] = Field(
        description="Origin of the model: run digest, method, seed, software versions and device."
    )


class SignedUrlRequest(FrozenModel):
    """Options for a signed URL."""

    expires_seconds: int = Field(
        900, ge=1, le=604_800, description="Lifetime in seconds. At most one week."
    )


class SignedUrlOut(ResponseModel):
    """A URL that can be used without an API key."""

    url: str
    expires_at: datetime
