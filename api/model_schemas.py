"""What the service answers about models, and what clients say of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import Out
from dlkd_core.frozen import Frozen
from registry.names import RegisteredName, Tag
from registry.requests import Notes

_Ratio = Annotated[float | None, Field(description="Null where one of the two is unknown")]


class FileOut(Out):
    """A file of a model, loaded back and measured."""

    name: str
    format: str
    size: int
    sha256: str
    top1: float | None = Field(description="On the val split, in [0, 1]")
    latency_ms: float | None = Field(description="Of one image")
    url: str


class TrialOut(Out):
    """How a worker fared with the files: it loads each, holds it to the report, and runs it."""

    status: Literal["waiting", "passed", "failed"]
    tried: list[str] = Field(description="Names of files")
    left_out: list[str] = Field(description="Files of formats whose loading would run what is in them")
    error: dict[str, Any] | None = Field(description="Of a failed one: code, message and hint")


class ImportedOut(Out):
    """Of which bundle a model came, and what was checked of it here."""

    sha256: str = Field(description="Of the archive")
    name: str = Field(description="What the model was called where it was made")
    version: int | None
    checked: list[str] = Field(
        description="`archive`: plain files within limits; `manifest` and `report`: they fit; `sha256`: of every file. "
        "What it was measured to be worth elsewhere is not measured again"
    )
    trial: TrialOut | None = Field(None, description="Of the files; null: it was imported before there were trials")


class ImportForm(Frozen):
    """What a client may say about a bundle."""

    name: RegisteredName | None = Field(None, description="Left out: as in the bundle")
    notes: Notes = ""


class ModelOut(Out):
    """A student that was distilled here, or came in a bundle."""

    id: str
    job_id: str | None = Field(description="That made it; null: it was imported")
    origin: Literal["distilled", "imported"]
    imported: ImportedOut | None = Field(description="Of which bundle it came; what it tells was measured where that was made")
    owner: str
    name: str = Field(description="Registered: versions count up under it")
    version: int
    aliases: list[str]
    tags: list[str]
    notes: str
    architecture: str
    options: dict[str, Any]
    parameters: int
    classes: list[str]
    normalization: dict[str, Any] | None
    metrics: dict[str, Any]
    files: list[FileOut]
    created_at: datetime


class ModelPatch(Frozen):
    """What may be changed about a model; what is left out stays. Name and version are fixed: others may rely on them."""

    notes: Notes | None = None
    tags: Annotated[list[Tag], Field(max_length=32)] | None = Field(None, description="All of them, in place of those of before")


class NameOut(Out):
    """A registered name and what is under it."""

    name: str
    owner: str
    last_version: int = Field(description="Numbers of deleted versions do not come again")
    versions: int = Field(description="How many there are")
    latest: str | None = Field(description="The id of the highest version that there is")
    aliases: dict[str, str] = Field(description="Alias to model id")


class AliasForm(Frozen):
    """Where an alias is to point."""

    model: str = Field(description="A model id, or name@version of the same name", examples=["model_01jd…", "cifar10-small@3"])


class AliasOut(Out):
    """An alias as it is now."""

    name: str
    alias: str
    model_id: str
    previous: str | None = Field(description="The id that it pointed at before")


class NodeOut(Out):
    """A model, job, teacher, data set, published weights (kind `pretrained`) or a bundle that was imported."""

    id: str
    kind: Literal["model", "job", "teacher", "dataset", "pretrained", "import"]
    name: str
    facts: dict[str, Any]
    deleted: bool = Field(description="It is gone: name and facts are those that its job noted")


class EdgeOut(Out):
    """What led to what."""

    source: str
    target: str
    relation: Literal["taught", "trained", "measured", "made", "imported"]


class LineageOut(Out):
    """Where a model comes from, back to the first teacher, and the students that it taught itself."""

    nodes: list[NodeOut]
    edges: list[EdgeOut]


class FileBesideOut(Out):
    """A file; ratios are to the first model's file of the same format."""

    name: str
    format: str
    size: int
    top1: float | None
    latency_ms: float | None
    size_ratio: _Ratio
    latency_ratio: _Ratio


class BesideOut(Out):
    """One of the models. Ratios are its number divided by the other's: of top1, parameters, macs, latency_ms and throughput."""

    id: str
    name: str
    version: int
    architecture: str
    numbers: dict[str, float | None] = Field(description="Quality and cost, by name as in the metrics of a model")
    files: list[FileBesideOut]
    against_first: dict[str, float | None]
    against_teacher: dict[str, float | None] | None = Field(description="Null: it had none")


class ClassBesideOut(Out):
    """Accuracy within a class of the first model, one entry for each model; differences are to the first."""

    name: str
    top1: list[float | None]
    difference: list[float | None]


class ComparisonOut(Out):
    """Models side by side, in the order that was asked for."""

    models: list[BesideOut]
    classes: list[ClassBesideOut]


class CardOut(Out):
    """What a model is, what it is worth, and where it comes from."""

    id: str
    name: str
    version: int
    notes: str
    config: dict[str, Any] = Field(description="Architecture, options, classes, image size, normalisation and input")
    metrics: dict[str, Any] = Field(description="Of student and teacher")
    files: list[FileOut]
    lineage: dict[str, Any] = Field(description="Of the run: method, seed, digest, code and device")


class UrlForm(Frozen):
    """For how long an address is to be good."""

    expires_seconds: int = Field(900, ge=1, le=604_800, description="A week at most")


class UrlOut(Out):
    """An address that needs no key."""

    url: str
    expires_at: datetime
