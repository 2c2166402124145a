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


OptimizerName = Literal["sgd", "adamw"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]


class TrainingSpec(Frozen):
    """The loop. Defaults are the paper's for CIFAR-100."""

    epochs: int = Field(240, ge=1, le=100_000)
    batch_size: int = Field(64, ge=2, le=65_536, description="Images a step; each is seen in all the views of the method")
    seed: int = Field(0, ge=0, lt=2**31)
    optimizer: OptimizerName = Field("sgd", description="sgd is the paper's; adamw wants a learning_rate of about 0.001")
    learning_rate: float = Field(0.05, gt=0, le=100)
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd; beta1 of adamw, whose beta2 is 0.999")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="sgd: part of the gradient; adamw: apart from it")
    nesterov: bool = Field(default=False, description="Of sgd alone")
    schedule: Schedule = Schedule()
    crop_padding: int | None = Field(None, ge=0, le=64, description="Left out: an eighth of the image side (4 of 32 pixels)")
    flip: bool = Field(True, description="Mirror half of the images; off where left and right mean something, as in digits")
    max_steps: int | None = Field(None, ge=1, description="End after so many steps, schedule and all, whatever the epochs say")
    evaluate_every: int = Field(1, ge=1, description="Epochs between evaluations on the val split")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of an average of the student's weights over the steps, as 0.999: it is evaluated and exported in their"
        " place. It begins with the first step's weights and forgets them after some multiples of 1 / (1 - decay) steps",
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="End when val top-1 has not risen for so many epochs; the last weights are exported, not the best. The val"
        " split then chooses the end, so its accuracy flatters the student: measure on images that had no say",
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="End after so many seconds of training, resumes counted in; the schedule is not compressed to fit",
    )
    accumulate: int = Field(
        1,
        ge=1,
        le=65_536,
        description="Compute each step in so many parts of the batch, of two images at least, and add up the gradients: less"
        " memory for the same step. Equal to the whole batch only where images do not meet: batch statistics, and losses that"
        " compare the images of a batch (such as correlation, sp or rkd), see a part each. Doubled by itself where a GPU's memory"
        " runs out",
    )
    precision: PrecisionName = Field(
        "float32",
        description="Of the forward passes; the losses and the exported weights are float32. auto: bfloat16 on GPUs that compute"
        " in it, float32 elsewhere; what the device would only emulate is refused",
    )
    compile: bool = Field(
        default=False,
        description="Compile the student (torch.compile): repays itself in long runs only, and a resumed run may differ in the"
        " last bits from one that was not stopped",
    )

    @model_validator(mode="after")
    def _nesterov_is_of_sgd(self) -> Self:
        if self.nesterov and self.optimizer != "sgd":
            raise PydanticCustomError("nesterov_unused", "nesterov belongs to the optimizer sgd.", {"pointer": "/nesterov"})
        return self


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
