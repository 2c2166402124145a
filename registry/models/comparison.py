"""Comparison of models: quality, cost and file sizes.

Ratios are relative to the first model and to each model's own teacher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.db.model_tables import Model, ModelFile

QUALITY_METRICS = ("top1", "top5", "nll", "ece", "knn_top1", "agreement")
COST_METRICS = ("parameters", "macs", "latency_ms", "throughput")
_RATIO_METRICS = ("top1", *COST_METRICS)
MetricValues = dict[str, float | None]


@dataclass(frozen=True)
class ComparedFile:
    """A model file, with ratios to the first model's file of the same format."""

    name: str
    format: str
    size: int
    top1: float | None
    latency_ms: float | None
    size_ratio: float | None
    latency_ratio: float | None


@dataclass(frozen=True)
class ComparedModel:
    """A model in a comparison, with ratios to the first model and to the model's own teacher."""

    model: Model
    numbers: MetricValues
    files: list[ComparedFile]
    against_first: MetricValues
    against_teacher: MetricValues | None


@dataclass(frozen=True)
class ComparedClass:
    """Each model's accuracy on one class, and the differences from the first model.

    An entry is None if the model's accuracy on the class is unknown.
    """

    name: str
    top1: list[float | None]
    difference: list[float | None]


@dataclass(frozen=True)
class Comparison:
    """A comparison: models in the requested order, and classes in the first model's order."""

    models: list[ComparedModel]
    classes: list[ComparedClass]


def compare_models(models: Sequence[Model], files: Sequence[ModelFile]) -> Comparison:
    """Compare one or more models. `files` contains the files of all of them."""
    first_numbers = _metric_values(models[0])
    first_files = {file.format: file for file in files if file.model_id == models[0].id}
    compared = []
    for model in models:
        numbers = _metric_values(model)
        teacher = model.metrics.get("teacher")
        compared.append(
            ComparedModel(
                model=model,
                numbers=numbers,
                files=[
                    _compare_file(file, first_files.get(file.format))
                    for file in files
                    if file.model_id == model.id
                ],
                against_first=_ratios(numbers, first_numbers),
                against_teacher=_ratios(numbers, teacher) if teacher else None,
            )
        )
    return Comparison(compared, _compare_classes(models))


def _metric_values(model: Model) -> MetricValues:
    metrics = {**(model.metrics["student"] or {}), "parameters": model.parameters}
    return {name: metrics.get(name) for name in (*QUALITY_METRICS, *COST_METRICS)}


def _ratios(numbers: MetricValues, baseline: MetricValues) -> MetricValues:
    return {name: _ratio(numbers[name], baseline.get(name)) for name in _RATIO_METRICS}


def _ratio(value: float | None, baseline: float | None) -> float | None:
    return value / baseline if value is not None and baseline else None


def _compare_file(file: ModelFile, first: ModelFile | None) -> ComparedFile:
    return ComparedFile(
        name=file.name,
        format=file.format,
        size=file.size,
        top1=file.top1,
        latency_ms=file.latency_ms,
        size_ratio=_ratio(file.size, first.size if first else None),
        latency_ratio=_ratio(file.latency_ms, first.latency_ms if first else None),
    )


def _compare_classes(models: Sequence[Model]) -> list[ComparedClass]:
    # Classes are matched by name, because their order may differ between datasets.
    top1_by_model = [_top1_by_class(model) for model in models]
    rows = []
    for name in models[0].classes:
        top1 = [top1_by_class.get(name) for top1_by_class in top1_by_model]
        first = top1[0]
        differences = [None if value is None or first is None else value - first for value in top1]
        rows.append(ComparedClass(name, top1, differences))
    return rows if any(value is not None for row in rows for value in row.top1) else []


def _top1_by_class(model: Model) -> dict[str, float | None]:
    values = (model.metrics["student"] or {}).get("per_class") or []
    return dict(zip(model.classes, values, strict=False))
