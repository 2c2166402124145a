"""What a run should do. One class is the request body, the JSON column and the function's argument.

`Recipe` holds what is the same everywhere. A client's `JobSpec` names teacher and data set by id; the core's
`DistillationSpec` names files: so no path ever comes from a client.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.catalog import ARCHITECTURES, EXPORTERS, MethodChoice, find_architecture
from dlkd_core.catalog.evaluations import LinearProbe, NearestNeighbours, Transfer
from dlkd_core.errors import UnknownChoice
from dlkd_core.frozen import Frozen
from dlkd_core.training_spec import TrainingSpec


def _known_architecture(name: str) -> str:
    try:
        return find_architecture(name).name
    except UnknownChoice as error:
        raise PydanticCustomError("unknown_choice", "{message} {hint}", error.facts()) from error


# timm's thousand names would be most of every schema: a pattern stands for them, and the catalog lists them.
_NAMES = {"anyOf": [{"enum": [name for name in ARCHITECTURES if not name.startswith("timm/")]}, {"pattern": "^timm/"}]}
ArchitectureName = Annotated[str, AfterValidator(_known_architecture), Field(json_schema_extra=_NAMES, examples=["resnet20"])]


def _with_weights(name: str) -> str:
    if find_architecture(name).weights is None:
        raise PydanticCustomError("weights_unpublished", "Nobody publishes weights of {name}.", {"name": name})
    return name


PretrainedName = Annotated[ArchitectureName, AfterValidator(_with_weights)]
ExporterName = Literal["safetensors", "onnx", "onnx_fp16", "onnx_int8", "torch_export", "bundle"]
assert set(get_args(ExporterName)) == set(EXPORTERS)  # noqa: S101  # the type above and the catalog are one list


class Normalization(Frozen):
    """Per channel, of RGB images in [0, 1]: (image - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class TeacherOptions(Frozen):
    """How to read a teacher; what is left out is recognised."""

    architecture: ArchitectureName | None = None
    normalization: Normalization | None = Field(None, description="Left out: the usual ones are tried and the best is taken")
    class_map: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None, description="For each class of the data set, in order, the teacher's class index"
    )
    features: str | None = Field(
        None, max_length=1000, description="Of an ONNX graph: the tensor before the classifier; left out: found"
    )


_PRETRAINED = "An architecture whose published weights teach; another number of classes than the data's: as a backbone"


def _check_pretrained(teacher: "TeacherRef | TeacherFile") -> None:
    if teacher.pretrained is not None and teacher.architecture is not None:
        raise PydanticCustomError(
            "architecture_unused", "pretrained names the architecture already.", {"pointer": "/architecture"}
        )


class TeacherRef(TeacherOptions):
    """A teacher of the service: an uploaded checkpoint (`id`), a model of the registry (`model_id`) or published weights."""

    id: str | None = Field(None, examples=["teacher_01jd…"])
    model_id: str | None = Field(None, examples=["model_01jd…"])
    pretrained: PretrainedName | None = Field(None, description=_PRETRAINED, examples=["resnet50"])

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(given is not None for given in (self.id, self.model_id, self.pretrained)) != 1:
            raise PydanticCustomError(
                "one_of",
                "Give exactly one of id (an uploaded teacher), model_id (a model made here) and pretrained (published weights).",
            )
        _check_pretrained(self)
        return self


class TeacherFile(TeacherOptions):
    """A teacher's checkpoint on this machine (`path`), or published weights."""

    path: Path | None = None
    pretrained: PretrainedName | None = Field(None, description=_PRETRAINED)
    options: dict[str, Any] = Field(default_factory=dict, description="Of the architecture; left out: recognised")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.path is None) == (self.pretrained is None):
            raise PydanticCustomError("one_of", "Give exactly one of path (a checkpoint) and pretrained (published weights).")
        _check_pretrained(self)
        return self


Resize = Literal["crop", "stretch", "pad"]
DEFAULT_RESIZE: Resize = "crop"


class DatasetOptions(Frozen):
    """How images of several sizes become one."""

    image_size: int | None = Field(
        None, ge=4, le=4096, description="Side in pixels of the square that every image becomes; left out: the most common size"
    )
    resize: Resize = Field(
        DEFAULT_RESIZE,
        description="Of images of another size. crop: scaled to cover it and cropped to the centre; stretch: sides scaled apart;"
        " pad: scaled to fit into it, black around",
    )


class DatasetRef(DatasetOptions):
    """A data set of the service."""

    id: str = Field(examples=["dataset_01jd…"])


class DatasetFile(DatasetOptions):
    """A data set on this machine: a folder, an archive, or a packed file."""

    path: Path
    title: str = Field("", description="What reports call it; left out: the path's last part")

    @property
    def called(self) -> str:
        """Its name in reports, which tell no paths."""
        return self.title or self.path.name


class StudentSpec(Frozen):
    """The network to train."""

    architecture: ArchitectureName
    options: dict[str, Any] = Field(default_factory=dict, description="Of the architecture, see the catalog")
    pretrained: bool = Field(
        default=False, description="Begin with published weights and a new classifier, and with the normalization of the weights"
    )

    @model_validator(mode="after")
    def _weights_are_published(self) -> Self:
        if self.pretrained and find_architecture(self.architecture).weights is None:
            raise PydanticCustomError(
                "weights_unpublished",
                "Nobody publishes weights of {name}: leave pretrained out, or name an architecture of torchvision or timm.",
                {"name": self.architecture, "pointer": "/pretrained"},
            )
        return self

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        try:
            find_architecture(self.architecture).options.model_validate(self.options)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise PydanticCustomError(
                "options_invalid",
                "options of this architecture: {where}: {what}",
                {"where": where, "what": first["msg"], "pointer": f"/options/{where}"},
            ) from error
        return self


class TransferRef(Transfer):
    """Transfer to a data set of the service; its images are scaled to the size of the student's."""

    dataset: DatasetRef


class TransferFile(Transfer):
    """Transfer to a data set on this machine; its images are scaled to the size of the student's."""

    dataset: DatasetFile


EvaluationChoice = Annotated[NearestNeighbours | LinearProbe | TransferRef, Field(discriminator="name")]
FileEvaluationChoice = Annotated[NearestNeighbours | LinearProbe | TransferFile, Field(discriminator="name")]
MOST_PROTOCOLS = 10
_PROTOCOLS = "Protocols on the frozen features of the finished student and its teacher, beside the accuracy of their logits"


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("duplicate", "name each format once")
    return names


def _method_is_optional(schema: dict[str, Any]) -> None:
    """`_default_method` fills it in before validation, which the schema cannot know."""
    schema["required"] = [name for name in schema["required"] if name != "method"]


class Recipe(Frozen):
    """What a spec says beside its inputs."""

    model_config = ConfigDict(json_schema_extra=_method_is_optional)

    name: str = Field("", max_length=200)
    student: StudentSpec
    method: MethodChoice
    training: TrainingSpec = TrainingSpec()
    export: Annotated[tuple[ExporterName, ...], AfterValidator(_unique)] = ("safetensors", "onnx")


def _default_method(data: Any) -> Any:
    """Without a method: DLKD where there is a teacher, labels alone where there is none."""
    if isinstance(data, dict) and data.get("method") is None:
        return {**data, "method": {"name": "dlkd" if data.get("teacher") else "plain"}}
    return data


def _check_teacher(recipe: "JobSpec | DistillationSpec") -> None:
    if recipe.method.needs_teacher and recipe.teacher is None:
        raise PydanticCustomError(
            "teacher_required",
            "The method {name} needs a teacher; leave method out (or name plain) to train on the labels alone.",
            {"name": recipe.method.name, "pointer": "/teacher"},
        )
    if recipe.teacher is not None and not recipe.method.needs_teacher:
        raise PydanticCustomError(
            "teacher_unused",
            "The method {name} uses no teacher: set teacher to null, or name another method.",
            {"name": recipe.method.name, "pointer": "/teacher"},
        )


def _check_image_size(recipe: "JobSpec | DistillationSpec") -> None:
    side, student = recipe.dataset.image_size, recipe.student
    wrong = find_architecture(student.architecture).misfit(student.options, (side, side)) if side else None
    if wrong:
        raise PydanticCustomError("image_size_unfit", "{wrong}.", {"wrong": wrong, "pointer": "/dataset/image_size"})


class JobSpec(Recipe):
    """What a client submits."""

    teacher: TeacherRef | None = None
    dataset: DatasetRef
    evaluation: tuple[EvaluationChoice, ...] = Field((), max_length=MOST_PROTOCOLS, description=_PROTOCOLS)

    _defaults = model_validator(mode="before")(_default_method)

    @model_validator(mode="after")
    def _teacher_fits(self) -> Self:
        _check_teacher(self)
        _check_image_size(self)
        return self


class DistillationSpec(Recipe):
    """What a run takes: the same with files in place of ids."""

    teacher: TeacherFile | None = None
    dataset: DatasetFile
    evaluation: tuple[FileEvaluationChoice, ...] = Field((), max_length=MOST_PROTOCOLS, description=_PROTOCOLS)

    _defaults = model_validator(mode="before")(_default_method)

    @model_validator(mode="after")
    def _teacher_fits(self) -> Self:
        _check_teacher(self)
        _check_image_size(self)
        return self
