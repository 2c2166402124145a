"""Datasets and teachers that `benchmarks.default_method` makes itself, from the given ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkd_client.local.digits_dataset import write_digits
from dlkd_core.events import RunFinished
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

DIGITS, DIGITS_TEACHER = "digits.zip", "digits_wrn_16_2.safetensors"
CIFAR10_SUBSET, CIFAR10_TEACHER = "cifar10_subset_png.zip", "cifar10_resnet56-4bfd9763.th"
SUBSET_TEACHER = "cifar10_subset_resnet20.safetensors"
TRANSFORMER_TEACHER = "cifar10_subset_vit.safetensors"
_TRANSFORMER = "timm/vit_tiny_patch16_224"

FindFile = Callable[[str], Path]


def _train(file: Path, **spec: dict[str, Any]) -> None:
    """Train a network and move its exported weights to `file`."""
    directory = file.with_suffix("")
    request = DistillationSpec.model_validate({"export": ["safetensors"], **spec})
    *_, last = run(request, directory)
    if not isinstance(last, RunFinished):
        raise TypeError(f"The training of {file.name} did not finish.")
    print(f"{file.name}: {last.report['metrics']['student']['top1']:.2%}", flush=True)
    (directory / "student.safetensors").rename(file)


def _train_digits_teacher(file: Path, find: FindFile) -> None:
    _train(
        file,
        student={"architecture": "wrn_16_2"},
        dataset={"path": find(DIGITS)},
        training={"epochs": 12, "flip": False},
    )


def _train_subset_teacher(file: Path, find: FindFile) -> None:
    """Train a teacher on the images that its students will see."""
    _train(
        file,
        student={"architecture": "resnet20"},
        dataset={"path": find(CIFAR10_SUBSET)},
        training={"epochs": 40, "evaluate_every": 10},
    )


def _train_transformer(file: Path, find: FindFile) -> None:
    """Distill a vision transformer. From labels alone, it would learn little from 5,000 images."""
    _train(
        file,
        teacher={"path": find(CIFAR10_TEACHER)},
        student={"architecture": _TRANSFORMER},
        dataset={"path": find(CIFAR10_SUBSET)},
        training={"epochs": 20, "evaluate_every": 5, "optimizer": "adamw", "batch_size": 64},
    )


BUILDERS: dict[str, Callable[[Path, FindFile], object]] = {
    DIGITS: lambda file, _find: write_digits(file),
    DIGITS_TEACHER: _train_digits_teacher,
    SUBSET_TEACHER: _train_subset_teacher,
    TRANSFORMER_TEACHER: _train_transformer,
}


def find_or_build(name: str, given: tuple[Path, ...], built: Path) -> Path:
    """Return the path of a file in one of the given folders, or build it in the folder `built`."""
    for folder in (*given, built):
        if (folder / name).exists():
            return folder / name
    if name not in BUILDERS:
        raise FileNotFoundError(f"{name} is in none of the folders {', '.join(map(str, given))}.")
    built.mkdir(parents=True, exist_ok=True)
    BUILDERS[name](built / name, lambda other: find_or_build(other, given, built))
    return built / name
