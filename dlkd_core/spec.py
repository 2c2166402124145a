"""Specs, which describe what a run should do.

The classes are used in request bodies, in the database (as JSON) and as function arguments.
`BaseSpec` holds the shared fields. A `JobSpec`, which a client submits, refers to its teacher and
dataset by id. A `DistillationSpec`, which the core runs, refers to them by file path, so clients
never supply paths.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dlkd_core.catalog import ARCHITECTURES, MethodChoice, find_architecture
from dlkd_core.catalog.architectures.architecture import MAX_CHANNELS, MAX_CLASSES, RGB_CHANNELS
from dlkd_core.catalog.architectures.timm_architectures import TIMM_PREFIX
from dlkd_core.catalog.evaluation_protocols import KNNClassification, LinearProbe, Transfer
from dlkd_core.catalog.exporters import ExportFormat
from dlkd_core.common import FrozenModel, LiteralEnum
from dlkd_core.errors import UnknownChoice
from dlkd_core.spec_checks import check_inputs
from dlkd_core.training_spec import TrainingSpec


def _check_architecture(name: str) -> str:
    try:
        return find_architecture(name).name
    except UnknownChoice as error:
        raise PydanticCustomError("unknown_choice", "{message} {hint}", error.to_dict()) from error


# The thousand names of timm networks would make up most of every schema, so the schema has a
# pattern instead. The catalog lists the names.
_ARCHITECTURE_NAME_SCHEMA = {
    "anyOf": [
        {"enum": [name for name in ARCHITECTURES if not name.startswith(TIMM_PREFIX)]},
        {"pattern": f"^{TIMM_PREFIX}"},
    ]
}
ArchitectureName = Annotated[
    str,
    AfterValidator(_check_architecture),
    Field(json_schema_extra=_ARCHITECTURE_NAME_SCHEMA, examples=["resnet20"]),
]


def _check_weights_available(name: str) -> str:
    if find_architecture(name).weights_target is None:
        raise PydanticCustomError(
            "weights_unpublished",
            "There are no published weights for {name}. Use an architecture from torchvision or"
            " timm.",
            {"name": name},
        )
    return name


def _refuse_weights_tag(name: Any) -> Any:
    if isinstance(name, str) and "." in name:
        raise PydanticCustomError(
            "weights_tag",
            "The weights of {name} cannot be chosen by a tag. Leave out the part after the dot to"
            " use the default weights, or upload the weights as a teacher.",
            {"name": name},
        )
    return name


PretrainedName = Annotated[
    ArchitectureName, BeforeValidator(_refuse_weights_tag), AfterValidator(_check_weights_available)
]


_Value = TypeVar("_Value")
_ChannelValues = Annotated[
    tuple[_Value, ...],
    Field(
        min_length=1,
        max_length=MAX_CHANNELS,
        description="One value per channel: for RGB images, those of red, green and blue",
        json_schema_extra={"prefixItems": [{"type": "number"}] * RGB_CHANNELS},
    ),
]


class Normalization(FrozenModel):
    """Input normalization, (image - mean) / std for each channel of images in [0, 1]."""

    mean: _ChannelValues[FiniteFloat]
    std: _ChannelValues[Annotated[FiniteFloat, Field(gt=0)]]

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        if len(self.mean) != len(self.std):
            raise PydanticCustomError(
                "normalization_invalid",
                "mean has {mean} values and std has {std}. Both have one value per channel.",
                {"mean": len(self.mean), "std": len(self.std)},
            )
        return self


def _check_class_indices(class_map: tuple[int, ...]) -> tuple[int, ...]:
    if max(class_map, default=0) >= MAX_CLASSES:
        raise PydanticCustomError(
            "class_map_too_large",
            "A class index must be below {limit}.",
            {"limit": MAX_CLASSES},
        )
    repeated = sorted(index for index, count in Counter(class_map).items() if count > 1)
    if repeated:
        raise PydanticCustomError(
            "class_map_repeats",
            "Several classes of the dataset are mapped to the teacher's class {index}. Map each one"
            " to a class of its own.",
            {"index": repeated[0]},
        )
    return class_map


AUTO_CLASS_MAP = "auto"
_ClassIndices = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_check_class_indices), Tag("indices")
]
ClassMap = Annotated[
    _ClassIndices | Annotated[Literal["auto"], Tag(AUTO_CLASS_MAP)],
    Discriminator(lambda value: AUTO_CLASS_MAP if isinstance(value, str) else "indices"),
]
RequestedClassMap = tuple[int, ...] | Literal["auto"] | None


class TeacherOptions(FrozenModel):
    """Options for loading a teacher. Omitted options are detected."""

    architecture: ArchitectureName | None = None
    normalization: Normalization | None = Field(
        None, description="Input normalization. Default: the best of several common ones."
    )
    class_map: ClassMap | None = Field(
        None,
        description="The teacher's class index for each class of the dataset, in order. auto: the"
        " order that explains the teacher's answers to the labeled evaluation images best.",
    )
    features: str | None = Field(
        None,
        max_length=1000,
        description="ONNX only: name of the tensor that the classifier takes as input. Default:"
        " detected.",
    )


_PRETRAINED_DESCRIPTION = (
    "Architecture whose published weights serve as the teacher. If its number of classes differs"
    " from that of the dataset, only its backbone is used."
)


def _check_pretrained(teacher: "TeacherRef | TeacherFile") -> None:
    if teacher.pretrained is not None and teacher.architecture is not None:
        raise PydanticCustomError(
            "architecture_unused",
            "Leave architecture out: pretrained already sets it.",
            {"pointer": "/architecture"},
        )


class TeacherRef(TeacherOptions):
    """A teacher that the service can load.

    It is an uploaded checkpoint (`id`), a model in the registry (`model_id`) or a network with
    published weights (`pretrained`).
    """

    id: str | None = Field(None, examples=["teacher_01jd…"])
    model_id: str | None = Field(None, examples=["model_01jd…"])
    pretrained: PretrainedName | None = Field(
        None, description=_PRETRAINED_DESCRIPTION, examples=["resnet50"]
    )

    @model_validator(mode="after")
    def _check_exactly_one(self) -> Self:
        sources = (self.id, self.model_id, self.pretrained)
        if sum(source is not None for source in sources) != 1:
            raise PydanticCustomError(
                "one_of",
                "Set exactly one of id (an uploaded teacher), model_id (a model of the registry)"
                " and pretrained (published weights).",
            )
        _check_pretrained(self)
        return self


class TeacherFile(TeacherOptions):
    """A teacher checkpoint on this machine (`path`) or published weights (`pretrained`)."""

    path: Path | None = None
    pretrained: PretrainedName | None = Field(None, description=_PRETRAINED_DESCRIPTION)
    options: dict[str, Any] = Field(
        default_factory=dict, description="Architecture options. Default: detected."
    )

    @model_validator(mode="after")
    def _check_exactly_one(self) -> Self:
        if (self.path is None) == (self.pretrained is None):
            raise PydanticCustomError(
                "one_of",
                "Set exactly one of path (a checkpoint) and pretrained (published weights).",
            )
        _check_pretrained(self)
        return self


class ResizeMode(LiteralEnum):
    """Ways to resize an image to the image size."""

    CROP = "crop"
    STRETCH = "stretch"
    PAD = "pad"


DEFAULT_RESIZE = ResizeMode.CROP


class DatasetOptions(FrozenModel):
    """Options for giving all images the same size and number of channels."""

    image_size: int | None = Field(
        None,
        ge=4,
        le=4096,
        description="Side length, in pixels, of the square to which all images are resized."
        " Default: the most common size in the dataset.",
    )
    resize: ResizeMode = Field(
        DEFAULT_RESIZE,
        description="How images are resized to the image size. crop: scale to cover the square and"
        " crop the center; stretch: scale both sides independently; pad: scale to fit and pad"
        " with black.",
    )
    channels: Literal[1, 3] | None = Field(
        None,
        description="Number of channels of the images: 1 for grayscale, 3 for RGB. Default: what"
        " the teacher takes. Without a teacher, it is 3, or that of the dataset if it has neither 1"
        " nor 3 channels.",
    )


class DatasetRef(DatasetOptions):
    """A dataset in the service."""

    id: str = Field(examples=["dataset_01jd…"])


class DatasetFile(DatasetOptions):
    """A dataset on this machine: a folder, an archive, or a packed file."""

    path: Path
    title: str = Field(
        "", description="Name of the dataset in reports. Default: last part of the path."
    )

    @property
    def display_name(self) -> str:
        """Name of the dataset in reports. It must not reveal the path."""
        return self.title or self.path.name


class StudentInit(LiteralEnum):
    """Initial weights of a student without published weights."""

    RANDOM = "random"
    TEACHER = "teacher"


class StudentSpec(FrozenModel):
    """The student network to train."""

    architecture: ArchitectureName
    options: dict[str, Any] = Field(
        default_factory=dict, description="Architecture options; see GET /v1/catalog"
    )
    pretrained: bool = Field(
        default=False,
        description="Start from published weights with a new classifier, and use the normalization"
        " of these weights",
    )
    init: StudentInit = Field(
        StudentInit.RANDOM,
        description="Initial weights if pretrained is false. random: random weights; teacher: the"
        " weights of the teacher's layers and channels that fit, with the teacher's normalization."
        " The teacher must belong to the same family of networks.",
    )

    @model_validator(mode="after")
    def _check_init(self) -> Self:
        if self.pretrained and self.init == StudentInit.TEACHER:
            raise PydanticCustomError(
                "init_ambiguous",
                "The student can start from published weights (`pretrained`) or from the teacher's"
                " (`init`), but not from both. Omit one of them.",
                {"pointer": "/init"},
            )
        return self

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.pretrained and find_architecture(self.architecture).weights_target is None:
            raise PydanticCustomError(
                "weights_unpublished",
                "There are no published weights for {name}. Omit `pretrained`, or use an"
                " architecture from torchvision or timm.",
                {"name": self.architecture, "pointer": "/pretrained"},
            )
        return self

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        try:
            find_architecture(self.architecture).options.model_validate(self.options)
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(str(part) for part in first["loc"])
            raise PydanticCustomError(
                "options_invalid",
                "Invalid option {option} of this architecture: {message}",
                {"option": option, "message": first["msg"], "pointer": f"/options/{option}"},
            ) from error
        return self


class TransferRef(Transfer):
    """Linear probe that is trained and evaluated on another dataset stored in the service.

    The images of that dataset are resized to the student's image size.
    """

    dataset: DatasetRef


class TransferFile(Transfer):
    """Linear probe that is trained and evaluated on another dataset on this machine.

    The images of that dataset are resized to the student's image size.
    """

    dataset: DatasetFile


EvaluationChoice = Annotated[
    KNNClassification | LinearProbe | TransferRef, Field(discriminator="name")
]
FileEvaluationChoice = Annotated[
    KNNClassification | LinearProbe | TransferFile, Field(discriminator="name")
]
MAX_PROTOCOLS = 10
_EVALUATION_DESCRIPTION = (
    "Evaluation protocols to run on the frozen features of the finished student and its teacher, in"
    " addition to the accuracy of their logits"
)


def _check_unique(formats: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(formats)) != len(formats):
        raise PydanticCustomError("duplicate", "List each format only once.")
    return formats


def _mark_method_optional(schema: dict[str, Any]) -> None:
    # `BaseSpec` fills in a missing method, but the generated schema lists the field as required.
    schema["required"] = [name for name in schema["required"] if name != "method"]


class BaseSpec(FrozenModel):
    """Fields that all specs have in common."""

    model_config = ConfigDict(json_schema_extra=_mark_method_optional)

    name: str = Field("", max_length=200)
    student: StudentSpec
    method: MethodChoice
    training: TrainingSpec = TrainingSpec()
    baseline: bool = Field(
        default=False,
        description="Also train the student on the labels alone, with the same seed, images and"
        " training options, and report how much accuracy the teacher adds. This takes about as"
        " long as a training without a teacher. The baseline is a figure in the report, not a"
        " second model. Needs a teacher and labels.",
    )
    export: Annotated[tuple[ExportFormat, ...], AfterValidator(_check_unique)] = (
        ExportFormat.SAFETENSORS,
        ExportFormat.ONNX,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_method(cls, data: Any) -> Any:
        """Set a missing method to dlkd_auto if there is a teacher, and to plain otherwise."""
        if isinstance(data, dict) and data.get("method") is None:
            return {**data, "method": {"name": "dlkd_auto" if data.get("teacher") else "plain"}}
        return data


class JobSpec(BaseSpec):
    """The spec that a client submits, with the ids of its teacher and dataset."""

    teacher: TeacherRef | None = None
    dataset: DatasetRef
    evaluation: tuple[EvaluationChoice, ...] = Field(
        (), max_length=MAX_PROTOCOLS, description=_EVALUATION_DESCRIPTION
    )

    _inputs_check = model_validator(mode="after")(check_inputs)


class DistillationSpec(BaseSpec):
    """The spec that the core runs, with the file paths of its teacher and dataset."""

    teacher: TeacherFile | None = None
    dataset: DatasetFile
    evaluation: tuple[FileEvaluationChoice, ...] = Field(
        (), max_length=MAX_PROTOCOLS, description=_EVALUATION_DESCRIPTION
    )

    _inputs_check = model_validator(mode="after")(check_inputs)
