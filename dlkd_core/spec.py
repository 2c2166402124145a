"""What a run should do. One class is the request body, the JSON column and the function's argument.

`Recipe` holds what is the same everywhere. A client's `JobSpec` names teacher and data set by id; the core's
`DistillationSpec` names files: so no path ever comes from a client.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.catalog import ARCHITECTURES, EXPORTERS, MethodChoice, find_architecture
from dlkd_core.errors import UnknownChoice
from dlkd_core.frozen import Frozen


def _known_architecture(name: str) -> str:
    try:
        return find_architecture(name).name
    except UnknownChoice as error:
        raise PydanticCustomError("unknown_choice", "{message} {hint}", error.facts()) from error


ArchitectureName = Annotated[
    str, AfterValidator(_known_architecture), Field(json_schema_extra={"enum": list(ARCHITECTURES)}, examples=["resnet20"])
]
ExporterName = Literal["safetensors", "onnx", "onnx_fp16", "onnx_int8", "torch_export"]
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


class TeacherRef(TeacherOptions):
    """A teacher of the service: an uploaded checkpoint (`id`) or a model of the registry (`model_id`)."""

    id: str | None = Field(None, examples=["teacher_01jd…"])
    model_id: str | None = Field(None, examples=["model_01jd…"])

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.id is None) == (self.model_id is None):
            raise PydanticCustomError("one_of", "Give exactly one of id (an uploaded teacher) and model_id (a model made here).")
        return self


class TeacherFile(TeacherOptions):
    """A teacher's checkpoint on this machine."""

    path: Path
    options: dict[str, Any] = Field(default_factory=dict, description="Of the architecture; left out: recognised")


class DatasetRef(Frozen):
    """A data set of the service."""

    id: str = Field(examples=["dataset_01jd…"])


class DatasetFile(Frozen):
    """A data set on this machine: a folder, an archive, or a packed file."""

    path: Path


class StudentSpec(Frozen):
    """The network to train."""

    architecture: ArchitectureName
    options: dict[str, Any] = Field(default_factory=dict, description="Of the architecture, see the catalog")

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


class Schedule(Frozen):
    """The learning rate over the run, after `warmup_epochs` of linear warm-up."""

    name: Literal["step", "cosine", "constant"] = "step"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (150 / 240, 180 / 240, 210 / 240), description="step: shares of the epochs after which the rate is multiplied by gamma"
    )
    gamma: float = Field(0.1, gt=0, le=1)
    warmup_epochs: float = Field(0, ge=0)


class TrainingSpec(Frozen):
    """The loop. Defaults are the paper's for CIFAR-100."""

    epochs: int = Field(240, ge=1, le=100_000)
    batch_size: int = Field(64, ge=2, le=65_536, description="Images a step; each is seen in all the views of the method")
    seed: int = Field(0, ge=0, lt=2**31)
    learning_rate: float = Field(0.05, gt=0, le=100)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0, le=1)
    nesterov: bool = False
    schedule: Schedule = Schedule()
    crop_padding: int | None = Field(None, ge=0, le=64, description="Left out: an eighth of the image side (4 of 32 pixels)")
    flip: bool = Field(True, description="Mirror half of the images; off where left and right mean something, as in digits")
    max_steps: int | None = Field(None, ge=1, description="End after so many steps, schedule and all, whatever the epochs say")
    evaluate_every: int = Field(1, ge=1, description="Epochs between evaluations on the val split")


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("duplicate", "name each format once")
    return names


class Recipe(Frozen):
    """What a spec says beside its inputs."""

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


class JobSpec(Recipe):
    """What a client submits."""

    teacher: TeacherRef | None = None
    dataset: DatasetRef

    _defaults = model_validator(mode="before")(_default_method)

    @model_validator(mode="after")
    def _teacher_fits(self) -> Self:
        _check_teacher(self)
        return self


class DistillationSpec(Recipe):
    """What a run takes: the same with files in place of ids."""

    teacher: TeacherFile | None = None
    dataset: DatasetFile

    _defaults = model_validator(mode="before")(_default_method)

    @model_validator(mode="after")
    def _teacher_fits(self) -> Self:
        _check_teacher(self)
        return self
