"""Training options of a spec: loop, optimizer, learning rate schedule and precision."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.common import FrozenModel, LiteralEnum


class ScheduleName(LiteralEnum):
    """Shapes of the learning rate schedule."""

    AUTO = "auto"
    LINEAR = "linear"
    STEP = "step"
    COSINE = "cosine"
    CONSTANT = "constant"


class OptimizerName(LiteralEnum):
    """Available optimizers."""

    SGD = "sgd"
    ADAMW = "adamw"


class PrecisionName(LiteralEnum):
    """Numeric precisions of the forward passes."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class AugmentationPolicy(LiteralEnum):
    """Policies that apply random operations such as rotation or contrast to training images."""

    NONE = "none"
    TRIVIAL_AUGMENT = "trivialaugment"
    RAND_AUGMENT = "randaugment"


class CompileMode(LiteralEnum):
    """When to compile the student."""

    NEVER = "never"
    AUTO = "auto"
    ALWAYS = "always"


class LearningRateSchedule(FrozenModel):
    """Learning rate schedule that starts with a linear warm-up of `warmup_epochs` epochs."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: ScheduleName = Field(
        ScheduleName.AUTO,
        description="auto: linear warm-up over the first tenth of the run, then linear decay to"
        " zero. step: the schedule of the DLKD paper.",
    )
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (150 / 240, 180 / 240, 210 / 240),
        description="Fractions of the run after which the learning rate is multiplied by"
        " gamma. Applies only if name is step.",
    )
    gamma: float = Field(0.1, gt=0, le=1)
    warmup_epochs: float = Field(0, ge=0)


class TrainingSpec(FrozenModel):
    """Training options.

    By default, the learning rate, its schedule and the batch size are chosen for the number of
    steps and the student's architecture. The other defaults are the CIFAR-100 settings of Ding et
    al. (2024), who use a batch size of 64, a learning rate of 0.05 and the schedule step.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    epochs: int = Field(240, ge=1, le=100_000)
    batch_size: int | None = Field(
        None,
        ge=2,
        le=65_536,
        description="Images per step. An image counts once, even if the method uses several views"
        " of it. Default: 64, or 32 if the run would otherwise have fewer than 1,200 steps.",
    )
    seed: int = Field(0, ge=0, lt=2**31)
    optimizer: OptimizerName = Field(
        OptimizerName.SGD,
        description="The DLKD paper uses sgd.",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Highest learning rate of the schedule. Default: chosen for the optimizer, the"
        " architecture, the schedule and the batch size, and stated in the job's notices and the"
        " model's lineage.",
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Momentum of sgd, or beta1 of adamw (its beta2 is 0.999)."
    )
    weight_decay: float = Field(
        5e-4,
        ge=0,
        le=1,
        description="Weight decay. sgd: added to the gradient; adamw: decoupled from it.",
    )
    max_grad_norm: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Maximum L2 norm of the gradient of a step, over all trained parameters. A"
        " larger gradient is scaled down to it. 0: gradients are not clipped. Default: 5 with the"
        " schedule auto, which reaches high learning rates, and 0 with the other schedules.",
    )
    nesterov: bool = Field(default=False, description="Use Nesterov momentum. Applies to sgd only.")
    schedule: LearningRateSchedule = LearningRateSchedule()
    crop_padding: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Padding in pixels before the random crop. Default: an eighth of the image"
        " size (4 for 32-pixel images).",
    )
    flip: bool = Field(
        True,
        description="Flip half of the images horizontally. Turn this off if left and right matter,"
        " as in digits.",
    )
    augmentation_policy: AugmentationPolicy = Field(
        AugmentationPolicy.NONE,
        description="Random operations on each view after cropping and flipping. trivialaugment:"
        " one operation of random strength (Müller and Hutter 2021); randaugment: two operations"
        " of medium strength (Cubuk et al. 2020).",
    )
    mixup: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Blend each image with another one of the batch, in a proportion drawn from the"
        " distribution beta(mixup, mixup). The labels are weighted in the same proportion. Often"
        " 0.2 to 1. If cutmix is also set, one of the two is drawn for each batch.",
    )
    cutmix: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Replace a rectangle of each image with the same part of another one of the"
        " batch. The part's share of the area is drawn from the distribution beta(cutmix, cutmix),"
        " and the labels are weighted in the same proportion. Often 1.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the label's probability that is spread evenly over all classes in the"
        " loss on labels. Often 0.1.",
    )
    label_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Fraction of each class's training images to use. The seed determines"
        " which images are used. Default: all images.",
    )
    label_noise: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Label noise: the labels of this fraction of the training images are shuffled"
        " among these images. The seed determines which images these are.",
    )
    max_steps: int | None = Field(
        None,
        ge=1,
        description="Maximum number of steps, regardless of the number of epochs. The learning rate"
        " schedule is scaled to it.",
    )
    evaluate_every: int = Field(
        1, ge=1, description="Number of epochs between evaluations on the val split."
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of an exponential moving average of the student's weights, such as"
        " 0.999. The average is evaluated and exported instead of the weights. It starts with the"
        " weights after the first step and forgets them after a few multiples of 1 / (1 - decay)"
        " steps.",
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="End the run after this many epochs without an improvement in val top-1. The"
        " last weights are exported, not the best ones. The val split then influences training, so"
        " the accuracy on it is optimistic. Measure the final accuracy on other images.",
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="Maximum training time in seconds, including time before a resume. The learning"
        " rate schedule is not scaled to it.",
    )
    accumulate: int = Field(
        1,
        ge=1,
        le=65_536,
        description="Number of micro-batches per step, with at least two images each. Gradients"
        " are summed, so a step needs less memory. The result equals that of the full batch only"
        " if images do not interact: batch norm and losses that compare the images of a batch"
        " (such as correlation, sp or rkd) see one micro-batch at a time. Doubled automatically"
        " when a GPU runs out of memory.",
    )
    precision: PrecisionName = Field(
        PrecisionName.FLOAT32,
        description="Precision of the forward passes. Losses and exported weights are float32."
        " auto: bfloat16 on GPUs with native support, float32 elsewhere. A precision that the"
        " device would only emulate is rejected.",
    )
    compile: CompileMode = Field(
        CompileMode.NEVER,
        description="Compile the student with torch.compile. auto: compile after the first"
        " steps if this saves more time than the one or two minutes that compiling takes. The"
        " result of a resumed run may then differ in the last bits from that of an uninterrupted"
        " run.",
    )

    @model_validator(mode="after")
    def _check_nesterov(self) -> Self:
        if self.nesterov and self.optimizer != OptimizerName.SGD:
            raise PydanticCustomError(
                "nesterov_unused",
                "nesterov is only supported by the optimizer sgd.",
                {"pointer": "/nesterov"},
            )
        return self


class ResolvedTrainingSpec(TrainingSpec):
    """Training options of a run, in which everything that was left to the run is chosen."""

    batch_size: int
    learning_rate: float
    max_grad_norm: float = 0.0
