"""Models side by side: quality, cost, size of each file, and each number as a share of the first model's and of the teacher's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.model_tables import Model, ModelFile

QUALITY = ("top1", "top5", "nll", "ece", "knn_top1", "agreement")
COST = ("parameters", "macs", "latency_ms", "throughput")
_COMPARED = ("top1", *COST)
Numbers = dict[str, float | None]


@dataclass(frozen=True)
class FileBeside:
    """A file, and its size and latency as shares of the first model's file of the same format."""

    name: str
    format: str
    size: int
    top1: float | None
    latency_ms: float | None
    size_ratio: float | None
    latency_ratio: float | None


@dataclass(frozen=True)
class Beside:
    """A model among others."""

    model: Model
    numbers: Numbers
    files: list[FileBeside]
    against_first: Numbers
    against_teacher: Numbers | None


@dataclass(frozen=True)
class ClassBeside:
    """Accuracy within one class by model, and what each has more than the first; null where a model has no number for it."""

    name: str
    top1: list[float | None]
    difference: list[float | None]


@dataclass(frozen=True)
class Comparison:
    """In the order that was asked for."""

    models: list[Beside]
    classes: list[ClassBeside]


def compare(models: Sequence[Model], files: Sequence[ModelFile]) -> Comparison:
    """The models, with the files of all of them."""
    first = _numbers(models[0].metrics["student"] or {}, models[0])
    sizes = {file.format: file for file in files if file.model_id == models[0].id}
    beside = []
    for model in models:
        numbers = _numbers(model.metrics["student"] or {}, model)
        teacher = model.metrics.get("teacher")
        beside.append(
            Beside(
                model=model,
                numbers=numbers,
                files=[_file(file, sizes.get(file.format)) for file in files if file.model_id == model.id],
                against_first=_ratios(numbers, first),
                against_teacher=_ratios(numbers, teacher) if teacher else None,
            )
        )
    return Comparison(beside, _classes(models))


def _numbers(metrics: dict[str, Any], model: Model) -> Numbers:
    return {name: metrics.get(name) for name in (*QUALITY, *COST)} | {"parameters": model.parameters}


def _ratios(numbers: Numbers, base: Numbers) -> Numbers:
    return {name: _ratio(numbers[name], base.get(name)) for name in _COMPARED}


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _file(file: ModelFile, first: ModelFile | None) -> FileBeside:
    return FileBeside(
        name=file.name,
        format=file.format,
        size=file.size,
        top1=file.top1,
        latency_ms=file.latency_ms,
        size_ratio=_ratio(file.size, first.size if first else None),
        latency_ratio=_ratio(file.latency_ms, first.latency_ms if first else None),
    )


def _classes(models: Sequence[Model]) -> list[ClassBeside]:
    """By name: the order of classes may differ between data sets."""
    known = [_by_class(model) for model in models]
    rows = []
    for name in models[0].classes:
        values = [one.get(name) for one in known]
        rows.append(ClassBeside(name, values, [_difference(value, values[0]) for value in values]))
    return rows if any(value is not None for row in rows for value in row.top1) else []


def _by_class(model: Model) -> dict[str, float | None]:
    values = (model.metrics["student"] or {}).get("per_class") or []
    return dict(zip(model.classes, values, strict=False))


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base
