"""Counts how often a teacher's normalization is found, over resamples of the images.

The losses and the batch statistics of each image are computed once for every candidate. Each
resample draws evaluation and training images with replacement and applies the service's rule. The
results are written to `out/normalization_choice.json`.

Usage: python -m benchmarks.normalization_choice --teachers FOLDER --data FOLDER
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dlkd_core.data.dataset import DatasetSplit, ImageDataset, open_dataset
from dlkd_core.evaluation.knn_quality import select_rows, shuffle_rows
from dlkd_core.spec import Normalization
from dlkd_core.teachers.class_order import find_class_order
from dlkd_core.teachers.loading import TeacherSource, load_teacher_file
from dlkd_core.teachers.normalization import candidate_normalizations
from dlkd_core.teachers.normalization_choice import (
    choose_normalization,
    find_published,
    rule_out,
)
from dlkd_core.teachers.verification import map_logits

RESULTS = Path("out/normalization_choice.json")
_BATCH = 100
_STATISTICS_IMAGES = 256  # as many as the service uses


class Training(NamedTuple):
    """The data on which a teacher was trained, and the published normalization."""

    data: str
    normalization: str


TEACHERS = {
    "cifar10_resnet20-12fca82f.th": Training("cifar10_subset_png.zip", "imagenet"),
    "cifar10_resnet56-4bfd9763.th": Training("cifar10_subset_png.zip", "imagenet"),
    "cifar100_osinet.onnx": Training("cifar100_subset_png.zip", "cifar100"),
    "imagenet_squeezenet1_0.pth": Training("imagenette_subset.zip", "imagenet"),
}


@dataclass(frozen=True)
class LayerSums:
    """Sums over the pixels of each image at the input of one batch normalization.

    Attributes:
        sums: Sums of the values, (N, channels).
        squares: Sums of the squared values, (N, channels).
        pixels: Number of pixels of an image.
        mean: Stored mean, (channels,).
        variance: Stored variance, (channels,).
    """

    sums: Tensor
    squares: Tensor
    pixels: int
    mean: Tensor
    variance: Tensor

    def mismatch(self, rows: Tensor) -> float:
        """Return the mismatch of some images, as `measure_mismatch` computes it for one layer."""
        count = self.pixels * len(rows)
        mean = self.sums[rows].sum(dim=0) / count
        variance = (self.squares[rows].sum(dim=0) - count * mean.square()) / (count - 1)
        shift = (mean - self.mean).square() / self.variance
        scale = (variance.clamp_min(1e-12) / self.variance).log().square()
        return float((shift + scale).mean())


class Answers(NamedTuple):
    """A teacher's answers with one normalization, for each image."""

    val_losses: Tensor
    train_losses: Tensor
    layers: list[LayerSums]


@dataclass(frozen=True)
class Result:
    """How often each normalization was chosen for a teacher."""

    teacher: str
    expected: str
    train_images: int
    val_images: int
    resamples: int
    chosen: dict[str, int]


@torch.no_grad()
def measure(path: Path, data: ImageDataset, expected: str, images: int, resamples: int) -> Result:
    """Count how often the rule chooses each normalization."""
    source = load_teacher_file(path).source
    val, train = (_sample(split, images) for split in (data.val, data.train))
    candidates = candidate_normalizations(None, data)
    answers = {
        name: _answer(source, candidate, val, train, data.classes)
        for name, candidate in candidates.items()
    }
    published = find_published(candidates)
    generator = torch.Generator().manual_seed(0)
    chosen = Counter(_choose_once(answers, published, generator) for _ in range(resamples))
    return Result(path.name, expected, len(train.labels), len(val.labels), resamples, dict(chosen))


def _sample(split: DatasetSplit, images: int) -> DatasetSplit:
    return select_rows(split, shuffle_rows(split)[:images])


def _answer(
    source: TeacherSource,
    normalization: Normalization,
    val: DatasetSplit,
    train: DatasetSplit,
    classes: tuple[str, ...],
) -> Answers:
    teacher = source.build_extractor(normalization, torch.device("cpu"))
    val_logits = _run(teacher, val.images)
    order = find_class_order(val_logits, val.labels, len(classes))
    class_map = order.class_map if order and val_logits.shape[1] > len(classes) else None

    def losses(logits: Tensor, labels: Tensor) -> Tensor:
        mapped = map_logits(logits, classes, class_map)
        return cross_entropy(mapped.double(), labels, reduction="none")

    with _Recorder(teacher) as recorder:
        train_logits = _run(teacher, train.images)
    return Answers(
        losses(val_logits, val.labels), losses(train_logits, train.labels), recorder.layers()
    )


def _run(teacher: nn.Module, images: Any) -> Tensor:
    parts = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    return torch.cat([teacher(part.float() / 255).logits for part in parts])


class _Recorder:
    """Records sums of the inputs of batch normalizations while a network runs."""

    def __init__(self, network: nn.Module) -> None:
        self._layers: list[Any] = [
            layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)
        ]
        self._parts: dict[Any, list[tuple[Tensor, Tensor, int]]] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self._handles = [layer.register_forward_pre_hook(self._record) for layer in self._layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _record(self, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0].flatten(2).double()
        part = values.sum(dim=2), values.square().sum(dim=2), values.shape[2]
        self._parts.setdefault(layer, []).append(part)

    def layers(self) -> list[LayerSums]:
        """Return the sums of all layers that were run once for each batch."""
        return [
            LayerSums(
                torch.cat([sums for sums, _, _ in parts]),
                torch.cat([squares for _, squares, _ in parts]),
                parts[0][2],
                layer.running_mean.double(),
                layer.running_var.double().clamp_min(1e-12),
            )
            for layer, parts in self._parts.items()
        ]


def _choose_once(
    answers: Mapping[str, Answers], published: Mapping[str, float], generator: torch.Generator
) -> str:
    """Apply the rule to one resample of the images."""
    first = next(iter(answers.values()))
    val_rows, train_rows = (
        torch.randint(len(losses), losses.shape, generator=generator)
        for losses in (first.val_losses, first.train_losses)
    )
    possible = rule_out({name: answer.val_losses[val_rows] for name, answer in answers.items()})
    if len(possible) == 1:
        return possible[0]
    losses = {name: answers[name].train_losses[train_rows] for name in possible}
    return choose_normalization(losses, _measure_on(answers, published, train_rows)).name


def _measure_on(
    answers: Mapping[str, Answers], published: Mapping[str, float], rows: Tensor
) -> Callable[[Sequence[str]], Mapping[str, float]]:
    def measure_candidates(names: Sequence[str]) -> Mapping[str, float]:
        layers = {name: answers[name].layers for name in names}
        mismatches = {
            name: sum(layer.mismatch(rows[:_STATISTICS_IMAGES]) for layer in found) / len(found)
            for name, found in layers.items()
            if found
        }
        return mismatches or published

    return measure_candidates


def main() -> None:
    """Measure the teachers that are in the folder, and print and write the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--teachers", type=Path, required=True, help="folder with the teachers")
    parser.add_argument("--data", type=Path, required=True, help="folder with their data sets")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--images", type=int, default=1000, help="images of each split")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for name, training in TEACHERS.items():
        if not (arguments.teachers / name).exists():
            continue
        data = open_dataset(arguments.data / training.data)
        result = measure(
            arguments.teachers / name,
            data,
            training.normalization,
            arguments.images,
            arguments.resamples,
        )
        print(f"{name}: {result.expected} expected, chosen {result.chosen}", flush=True)
        results.append(asdict(result))
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
