"""Models side by side, by numbers that can be worked out in the head."""

from typing import Any

from registry.comparison import compare
from registry.model_tables import Model, ModelFile

TEACHER = {"top1": 0.8, "parameters": 1000, "macs": 4000, "latency_ms": 4.0, "throughput": 10.0}


def model(number: int, classes: list[str], per_class: list[float | None] | None, **student: Any) -> Model:
    metrics = {"student": {**student, "per_class": per_class}, "teacher": TEACHER if number == 2 else None}
    return Model(id=f"model_{number}", parameters=100 * number, classes=classes, metrics=metrics)


def file(number: int, kind: str, size: int, latency: float | None) -> ModelFile:
    return ModelFile(model_id=f"model_{number}", name=f"student.{kind}", format=kind, size=size, latency_ms=latency)


def test_numbers_files_and_classes_are_held_against_the_first_and_the_teacher() -> None:
    first = model(1, ["cat", "dog"], [0.5, None], top1=0.4, macs=1000, latency_ms=1.0)
    second = model(2, ["dog", "cat", "fox"], [0.9, 0.75, 1.0], top1=0.6, macs=None, latency_ms=2.0)
    files = [file(1, "onnx", 100, 1.0), file(2, "onnx", 50, None), file(2, "onnx_int8", 25, 0.5)]
    found = compare([first, second], files)
    assert [one.against_teacher is None for one in found.models] == [True, False]
    beside = found.models[1]
    none = {"throughput": None, "macs": None}
    assert beside.against_first == {"top1": 0.6 / 0.4, "parameters": 2.0, "latency_ms": 2.0, **none}
    assert beside.against_teacher == {"top1": 0.6 / 0.8, "parameters": 0.2, "latency_ms": 0.5, **none}
    assert [(one.format, one.size_ratio, one.latency_ratio) for one in beside.files] == [
        ("onnx", 0.5, None),
        ("onnx_int8", None, None),
    ]
    assert [(row.name, row.top1, row.difference) for row in found.classes] == [
        ("cat", [0.5, 0.75], [0.0, 0.25]),
        ("dog", [None, 0.9], [None, None]),
    ]


def test_models_without_labels_have_no_rows_of_classes() -> None:
    assert compare([model(1, ["a"], None, top1=None), model(1, ["a"], None, top1=None)], []).classes == []
