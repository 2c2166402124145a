"""How a run trains: the loop, its optimiser and schedule. Part of every spec."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dlkd_core.frozen import Frozen


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
CompileName = Literal["never", "auto", "always"]


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
    label_share: float | None = Field(
        None, gt=0, lt=1, description="Train on this share of each class's images alone, drawn from the seed; left out: on all"
    )
    label_noise: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Permute the labels of this share of the training images among themselves, drawn from the seed",
    )
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
    compile: CompileName = Field(
        "never",
        description="Compile the student (torch.compile). auto: after the first steps, where what is left repays the minute or"
        " two that it takes. A resumed run may then differ in the last bits from one that was not stopped",
    )

    @model_validator(mode="after")
    def _nesterov_is_of_sgd(self) -> Self:
        if self.nesterov and self.optimizer != "sgd":
            raise PydanticCustomError("nesterov_unused", "nesterov belongs to the optimizer sgd.", {"pointer": "/nesterov"})
        return self
