"""A small training run on random images. The teacher is a fixed linear projection."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.catalog import METHODS
from dlkd_core.data.augmentation.views import Augmentation
from dlkd_core.data.batches import BatchLoader
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.events import CHECKPOINT_FILE, Event, StepFinished
from dlkd_core.losses import build_objective
from dlkd_core.losses.base_loss import LossContext
from dlkd_core.models import FeatureExtractor, build_network
from dlkd_core.network_outputs import Outputs, OutputShapes
from dlkd_core.spec import StudentSpec
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.ema import ModelEMA
from dlkd_core.training.loop import TrainingRun, train
from dlkd_core.training.optimizer import build_optimizer
from dlkd_core.training.training_defaults import resolve_training
from dlkd_core.training_spec import TrainingSpec

CLASSES, FEATURE_WIDTH, IMAGES = 3, 12, 20
PROJECTION = torch.randn(3 * 8 * 8, FEATURE_WIDTH, generator=torch.Generator().manual_seed(5)) / 8


def teacher(images: Tensor) -> Outputs:
    """Return the teacher's outputs: projected pixels as features, the images as feature maps."""
    features = images.flatten(1) @ PROJECTION
    return Outputs(classify(features), features, (images,))


def classify(features: Tensor) -> Tensor:
    """Return the logits of the teacher's classifier: the first `CLASSES` features."""
    return features[:, :CLASSES]


def make_run(
    directory: Path,
    method: str = "plain",
    evaluate: Callable[[], dict[str, float]] = dict,
    **training: Any,
) -> TrainingRun:
    """Return a run of two epochs on twenty images.

    Keyword arguments replace training options. By default, the batches of an epoch have 8, 8 and 4
    images.
    """
    directory.mkdir(parents=True, exist_ok=True)
    requested = TrainingSpec.model_validate(
        {"epochs": 2, "batch_size": 8, "weight_decay": 0, **training}
    )
    spec = resolve_training(requested, StudentSpec(architecture="resnet8"), IMAGES)
    method_spec = METHODS[method](name=method)
    generator = torch.Generator().manual_seed(1)
    split = DatasetSplit(
        torch.randint(0, 256, (IMAGES, 3, 8, 8), dtype=torch.uint8, generator=generator),
        torch.arange(IMAGES) % CLASSES,
    )
    torch.manual_seed(spec.seed)
    student = FeatureExtractor(
        build_network("resnet8", CLASSES), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    )
    augmentation = Augmentation(
        method_spec.views,
        padding=1,
        flip=spec.flip,
        policy=spec.augmentation_policy,
        mixup=spec.mixup,
        cutmix=spec.cutmix,
    )
    with torch.no_grad():
        sample = split.images[:2].float() / 255
        student_shapes = OutputShapes.from_outputs(student.eval()(sample))
        teacher_shapes = OutputShapes.from_outputs(teacher(sample))
    context = LossContext(
        student_shapes,
        teacher_shapes,
        CLASSES,
        augmentation.view_count,
        IMAGES,
        split.labels,
        classify,
        lambda: iter([teacher(split.images.float() / 255)]),
    )
    objective = build_objective(method_spec, context)
    optimizer = build_optimizer(spec, [*student.parameters(), *objective.parameters()])
    ema = ModelEMA(student, spec.ema) if spec.ema else None
    return TrainingRun(
        spec,
        BatchLoader(split, spec.batch_size, augmentation, spec.seed),
        teacher,
        TrainingState(student, objective, optimizer, ema),
        evaluate,
        directory,
        "this run",
    )


def stop_after(run: TrainingRun, step: int) -> None:
    """Train until the given step is finished, then close the run. Closing saves a checkpoint."""
    run_events = train(run)
    next(event for event in run_events if isinstance(event, StepFinished) and event.step == step)
    run_events.close()


def resume(run: TrainingRun, directory: Path) -> Iterator[Event]:
    """Resume a run from the checkpoint in the folder."""
    return train(run, run.state.load(directory / CHECKPOINT_FILE, digest="this run"))


def collect_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Return copies of all tensors that affect the next step, keyed by name."""
    moments = {
        f"{name}.{number}": tensor
        for number, values in state.optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }
    heads = {f"objective.{name}": tensor for name, tensor in state.objective.state_dict().items()}
    ema_state = state.ema.state_dict() if state.ema else {}
    average = {f"average.{name}": tensor for name, tensor in ema_state.items()}
    tensors = {**state.student.state_dict(), **heads, **moments, **average}
    return {name: tensor.clone() for name, tensor in tensors.items()}


def tensors_equal(tensors: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Return whether both dicts have the same names and bit-identical tensors."""
    return tensors.keys() == others.keys() and all(
        torch.equal(tensor, others[name]) for name, tensor in tensors.items()
    )
