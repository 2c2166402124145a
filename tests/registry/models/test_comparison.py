"""Model comparison, with numbers that are easy to check by hand."""

from typing import Any

from registry.db.model_tables import Model, ModelFile
from registry.models.comparison import compare_models

TEACHER = {"top1": 0.8, "parameters": 1000, "macs": 4000, "latency_ms": 4.0, "throughput": 10.0}


def make_model(
    number: int, classes: list[str], per_class: list[float | None] | None, **student: Any
) -> Model:
    metrics = {
        "student": {**student, "per_class": per_class},
        "teacher": TEACHER if number == 2 else None,
    }
    return Model(id=f"model_{number}", parameters=100 * number, classes=classes, metrics=metrics)


def make_file(number: int, kind: str, size: int, latency: float | None) -> ModelFile:
    return ModelFile(
        model_id=f"model_{number}",
        name=f"student.{kind}",
        format=kind,
        size=size,
        latency_ms=latency,
    )


def test_metrics_files_and_classes_are_compared_with_the_first_model_and_the_teacher() -> None:
    first = make_model(1, ["cat", "dog"], [0.5, None], top1=0.4, macs=1000, latency_ms=1.0)
    second = make_model(
        2, ["dog", "cat", "fox"], [0.9, 0.75, 1.0], top1=0.6, macs=None, latency_ms=2.0
    )
    files = [
        make_file(1, "onnx", 100, 1.0),
        make_file(2, "onnx", 50, None),
        make_file(2, "onnx_int8", 25, 0.5),
    ]
    comparison = compare_models([first, second], files)
    assert [each.against_teacher is None for each in comparison.models] == [True, False]
    compared = comparison.models[1]
    none = {"throughput": None, "macs": None}
    assert compared.against_first == {
        "top1": 0.6 / 0.4,
        "parameters": 2.0,
        "latency_ms": 2.0,
        **none,
    }
    assert compared.against_teacher == {
        "top1": 0.6 / 0.8,
        "parameters": 0.2,
        "latency_ms": 0.5,
        **none,
    }
    assert [(each.format, each.size_ratio, each.latency_ratio) for each in compared.files] == [
        ("onnx", 0.5, None),
        ("onnx_int8", None, None),
    ]
    assert [(row.name, row.top1, row.difference) for row in comparison.classes] == [
        ("cat", [0.5, 0.75], [0.0, 0.25]),
        ("dog", [None, 0.9], [None, None]),
    ]


def test_models_without_labels_are_compared_without_classes() -> None:
    assert (
        compare_models(
            [make_model(1, ["a"], None, top1=None), make_model(1, ["a"], None, top1=None)], []
        ).classes
        == []
    )
