"""Choice of the training options that a spec leaves open, for the length of the run."""

from math import sqrt

from dlkd_core.catalog import find_architecture
from dlkd_core.spec import StudentSpec
from dlkd_core.training_spec import (
    LearningRateSchedule,
    OptimizerName,
    ResolvedTrainingSpec,
    ScheduleName,
    TrainingSpec,
)

_BATCH_SIZE, _SMALL_BATCH_SIZE = 64, 32  # 64 is the paper's
_FEW_STEPS = 1_200  # runs of fewer steps use small batches, to have twice as many steps
_WARMUP_FRACTION = 0.1  # of the run
# Learning rates of sgd for batches of 64 images. The rates of the paper's schedule are published.
_STEP_RATE, _LOW_STEP_RATE = 0.05, 0.01
_LOW_RATE_FAMILIES = frozenset({"cifar_mobilenet", "cifar_shufflenet"})
# The highest rates of the other schedules, by architecture family. They were chosen by experiment
# for cifar_resnet and cifar_vgg (docs/log.md), and are cautious for the others.
_SGD_PEAKS = {
    "cifar_resnet": 0.2,
    "cifar_bottleneck_resnet": 0.1,
    "wide_resnet": 0.1,
    "cifar_vgg": 0.1,
}
_DEFAULT_SGD_PEAK, _ADAMW_PEAK = 0.05, 1e-3
_FINE_TUNING_FACTOR = 0.1  # for students that start with published weights
# Limits the first steps of a run, whose gradients are several times larger than later ones.
_MAX_GRAD_NORM = 5.0


def resolve_training(
    training: TrainingSpec, student: StudentSpec, num_images: int
) -> ResolvedTrainingSpec:
    """Return the training options with every omitted option chosen.

    `num_images` is the number of training images.
    """
    batch_size = training.batch_size or _choose_batch_size(training, num_images)
    steps_per_epoch = -(-num_images // batch_size)
    steps = _count_steps(training, steps_per_epoch)
    chosen = {
        "batch_size": batch_size,
        "learning_rate": training.learning_rate
        or _choose_learning_rate(training, student, batch_size),
        "max_grad_norm": _choose_max_grad_norm(training),
        "schedule": _resolve_schedule(training.schedule, steps / steps_per_epoch),
    }
    return ResolvedTrainingSpec.model_validate(training.model_dump() | chosen)


def count_steps(training: ResolvedTrainingSpec, num_images: int) -> int:
    """Return the number of optimizer steps of a run on `num_images` images."""
    return _count_steps(training, -(-num_images // training.batch_size))


def _count_steps(training: TrainingSpec, steps_per_epoch: int) -> int:
    steps = training.epochs * steps_per_epoch
    return min(steps, training.max_steps or steps)


def _choose_batch_size(training: TrainingSpec, num_images: int) -> int:
    steps = _count_steps(training, -(-num_images // _BATCH_SIZE))
    return _BATCH_SIZE if steps >= _FEW_STEPS else _SMALL_BATCH_SIZE


def _choose_learning_rate(training: TrainingSpec, student: StudentSpec, batch_size: int) -> float:
    family = find_architecture(student.architecture).family
    if training.optimizer == OptimizerName.ADAMW:
        peak = _ADAMW_PEAK
    elif training.schedule.name == ScheduleName.STEP:
        return _LOW_STEP_RATE if family in _LOW_RATE_FAMILIES else _STEP_RATE
    else:
        peak = _SGD_PEAKS.get(family, _DEFAULT_SGD_PEAK)
    if student.pretrained:
        peak *= _FINE_TUNING_FACTOR
    return peak * max(1.0, sqrt(batch_size / _BATCH_SIZE))


def _choose_max_grad_norm(training: TrainingSpec) -> float:
    if training.max_grad_norm is not None:
        return training.max_grad_norm
    return _MAX_GRAD_NORM if training.schedule.name == ScheduleName.AUTO else 0.0


def _resolve_schedule(schedule: LearningRateSchedule, epochs: float) -> LearningRateSchedule:
    if schedule.name != ScheduleName.AUTO:
        return schedule
    return LearningRateSchedule(
        name=ScheduleName.LINEAR,
        warmup_epochs=schedule.warmup_epochs or _WARMUP_FRACTION * epochs,
    )


def describe_choice(requested: TrainingSpec, resolved: ResolvedTrainingSpec) -> str:
    """Return a sentence that states the options that were chosen for the run.

    The text is empty if the spec left nothing open.
    """
    parts = []
    if requested.batch_size is None:
        parts.append(f"a batch size of {resolved.batch_size}")
    if requested.learning_rate is None:
        parts.append(f"a learning rate of {resolved.learning_rate:.3g}")
    if requested.max_grad_norm is None and resolved.max_grad_norm:
        parts.append(f"a maximum gradient norm of {resolved.max_grad_norm:g}")
    if requested.schedule.name == ScheduleName.AUTO:
        parts.append("a linear schedule with warm-up")
    return f"Chosen for this run: {', '.join(parts)}." if parts else ""
