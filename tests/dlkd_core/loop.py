"""The training loop on its own: noise for images, a fixed projection for a teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.averaging import Average
from dlkd_core.catalog import METHODS
from dlkd_core.checkpoint import State
from dlkd_core.data.batches import Batches
from dlkd_core.data.packed import Split
from dlkd_core.data.views import Augmentation
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.term import Setting
from dlkd_core.models import Tapped, build
from dlkd_core.optimizer import build as build_optimizer
from dlkd_core.outputs import Outputs, Shapes
from dlkd_core.training import Run
from dlkd_core.training_spec import TrainingSpec

CLASSES, WIDTH, IMAGES = 3, 12, 20
PROJECTION = torch.randn(3 * 8 * 8, WIDTH, generator=torch.Generator().manual_seed(5)) / 8


def teacher(images: Tensor) -> Outputs:
    """Features and logits that depend on nothing but the images."""
    features = images.flatten(1) @ PROJECTION
    return Outputs(classify(features), features, (images,))


def classify(features: Tensor) -> Tensor:
    """The teacher's logits of its features."""
    return features[:, :CLASSES]


def new_run(directory: Path, method: str = "plain", score: Callable[[], dict[str, float]] = dict, **training: Any) -> Run:
    """Two epochs of three batches over twenty images, the last one of four; keywords replace parts of the training."""
    directory.mkdir(parents=True, exist_ok=True)
    spec = TrainingSpec.model_validate({"epochs": 2, "batch_size": 8, "weight_decay": 0, **training})
    chosen = METHODS[method](name=method)
    generator = torch.Generator().manual_seed(1)
    split = Split(
        torch.randint(0, 256, (IMAGES, 3, 8, 8), dtype=torch.uint8, generator=generator), torch.arange(IMAGES) % CLASSES
    )
    torch.manual_seed(spec.seed)
    student = Tapped(build("resnet8", CLASSES), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    augmentation = Augmentation(chosen.views, padding=1, flip=spec.flip)
    with torch.no_grad():
        sample = split.images[:2].float() / 255
        shapes, taught = Shapes.of(student.eval()(sample)), Shapes.of(teacher(sample))
    objective = build_objective(chosen, Setting(shapes, taught, CLASSES, augmentation.count, IMAGES, split.labels, classify))
    optimizer = build_optimizer(spec, [*student.parameters(), *objective.parameters()])
    average = Average(student, spec.ema) if spec.ema else None
    batches = Batches(split, spec.batch_size, augmentation, spec.seed)
    return Run(spec, batches, teacher, State(student, objective, optimizer, average), score, directory, "this run")


def everything(state: State) -> dict[str, Tensor]:
    """Every tensor that the next step depends on, by name."""
    held = state.optimizer.state_dict()["state"]
    moments = {f"{name}.{number}": tensor for number, one in held.items() for name, tensor in one.items()}
    heads = {f"objective.{name}": tensor for name, tensor in state.objective.state_dict().items()}
    average = {f"average.{name}": tensor for name, tensor in (state.average.state_dict() if state.average else {}).items()}
    parts = {**state.student.state_dict(), **heads, **moments, **average}
    return {name: tensor.clone() for name, tensor in parts.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether they agree bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
