"""The model card of a student, in the form of the Hugging Face hub. It is made of the report alone, without torch."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Measured(Protocol):
    """What the card tells of a file."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def top1(self) -> float | None: ...
    @property
    def latency_ms(self) -> float | None: ...


def config(report: dict[str, Any]) -> dict[str, Any]:
    """What a program needs to use the weights: architecture, options, classes, image size and normalisation."""
    names = ("architecture", "options", "classes", "image", "normalization", "parameters")
    return {**{name: report[name] for name in names}, "input": "image: (batch, 3, H, W) float32 RGB in [0, 1]"}


def card(report: dict[str, Any], files: Sequence[Measured], title: str) -> str:
    """The card as Markdown with its front matter."""
    metrics = report["metrics"]
    parts = [
        _front_matter(report, title),
        f"# {title}\n\n{_summary(report)}",
        f"## What it is worth\n\n{_quality(metrics)}",
        f"## Files\n\n{_files(files)}",
        f"## How to use it\n\n{_usage(report, files)}",
        f"## Where it comes from\n\n{_lineage(report)}",
        f"## Licence\n\n{_LICENCE}",
    ]
    return "\n\n".join(parts) + "\n"


_LICENCE = (
    "Not stated. The weights derive from the teacher's weights and from the training images: what their licences allow decides "
    "what may be done with this model. Name it here before you pass the model on."
)


def _front_matter(report: dict[str, Any], title: str) -> str:
    student = report["metrics"]["student"]
    result = {
        "name": title,
        "results": [
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": "val split of the job's data set", "type": "image-folder"},
                "metrics": [_headline(student)],
            }
        ],
    }
    fields = {
        "license": "other",
        "pipeline_tag": "image-classification",
        "library_name": "dlkd",
        "tags": ["knowledge-distillation", report["architecture"]],
        "model-index": [result],
    }
    return "---\n" + "\n".join(f"{name}: {json.dumps(value)}" for name, value in fields.items()) + "\n---"  # JSON is YAML


def _headline(student: dict[str, Any]) -> dict[str, Any]:
    if student.get("knn_top1") is not None:
        return {"type": "accuracy", "name": "top-1 of the features by nearest neighbours", "value": round(student["knn_top1"], 4)}
    if student.get("agreement") is not None and student.get("top1") is None:
        return {"type": "agreement", "name": "agreement with the teacher", "value": round(student["agreement"], 4)}
    return {"type": "accuracy", "value": None if student.get("top1") is None else round(student["top1"], 4)}


def _summary(report: dict[str, Any]) -> str:
    teacher, height, width = report["metrics"]["teacher"], report["image"]["height"], report["image"]["width"]
    taught = f"distilled from {_named(teacher)}" if teacher else "trained on labels alone"
    able = f"that tells {len(report['classes'])} classes apart in" if _is_trained(report) else "that makes features of"
    told = "" if _is_trained(report) else f"\n\n**{UNTRAINED}**"
    return (
        f"A {report['architecture']} with {report['parameters']:,} parameters, {taught}, {able} images of {height} x {width} "
        f"pixels.{told}"
    )


def _named(teacher: dict[str, Any]) -> str:
    """A graph's parameters are not known."""
    count = teacher.get("parameters")
    return f"a {teacher.get('architecture') or 'teacher'}" + (f" ({count:,} parameters)" if count else "")


UNTRAINED = (
    "The student's classifier is untrained: the method has no term of labels or logits. Its features are what was learnt; its "
    "logits mean nothing until a classifier is trained on them."
)


def _is_trained(report: dict[str, Any]) -> bool:
    return bool(report.get("classifier") != "untrained")


def _quality(metrics: dict[str, Any]) -> str:
    """Teacher beside student."""
    columns = {name: found for name, found in metrics.items() if found}
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("top-1", lambda found: _known(found.get("top1"), ".2%")),
        ("top-5", lambda found: _known(found.get("top5"), ".2%")),
        ("calibration error (ECE)", lambda found: _known(found.get("ece"), ".4f")),
        ("negative log-likelihood", lambda found: _known(found.get("nll"), ".4f")),
        ("parameters", lambda found: _known(found.get("parameters"), ",")),
        ("multiply-accumulates", lambda found: _known(found.get("macs") or None, ",")),
        ("latency of one image, median (ms)", lambda found: _known(found.get("latency_ms"), ".2f")),
        ("images a second, batches of 64", lambda found: _known(found.get("throughput"), ",.0f")),
    ]
    if any(found.get("knn_top1") is not None for found in columns.values()):
        rows.insert(0, ("top-1 of the features by nearest neighbours", lambda found: _known(found.get("knn_top1"), ".2%")))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    lines += [f"| {name} | {' | '.join(show(found) for found in columns.values())} |" for name, show in rows]
    agree = metrics["student"].get("agreement")
    told = f"\n\nStudent and teacher agree on {agree:.2%} of the images." if agree is not None else ""
    told += _UNLABELLED if metrics["student"].get("top1") is None and metrics["student"].get("knn_top1") is None else ""
    seen = _known(metrics["student"].get("images"), ",")
    return "\n".join(lines) + f"\n\nMeasured on the {seen} images of the val split, on the CPU.{told}"


_UNLABELLED = " The images have no labels, so nobody knows how many of the answers are right."


def _known(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _files(files: Sequence[Measured]) -> str:
    lines = ["| file | bytes | top-1 | latency (ms) | sha256 |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.size:,} | {_known(one.top1, '.2%')} | {_known(one.latency_ms, '.2f')} | `{one.sha256}` |"
        for one in files
    ]
    return "\n".join(lines) + "\n\nEach was loaded back and run on the val split before it was published."


def _usage(report: dict[str, Any], files: Sequence[Measured]) -> str:
    graphs = [one.name for one in files if one.name.endswith(".onnx")]
    return _onnx_snippet(report, graphs[0]) if graphs else _torch_snippet(report)


def _onnx_snippet(report: dict[str, Any], graph: str) -> str:
    return f"""```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

classes = json.load(open("config.json"))["classes"]
image = Image.open("picture.png").convert("RGB")
image = {_resized(report["image"])}
pixels = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255
logits = onnxruntime.InferenceSession("{graph}").run(["logits"], {{"image": pixels}})[0]
print(classes[logits.argmax()])
```"""


def _resized(image: dict[str, Any]) -> str:
    """As the training images were brought to one size."""
    size = f"({image['width']}, {image['height']})"
    return {
        "crop": f"ImageOps.fit(image, {size}, Image.Resampling.BILINEAR)",
        "pad": f'ImageOps.pad(image, {size}, Image.Resampling.BILINEAR, color="black")',
        "stretch": f"image.resize({size}, Image.Resampling.BILINEAR)",
    }[image.get("resize", "crop")]


def _torch_snippet(report: dict[str, Any]) -> str:
    return f"""```python
import json
from pathlib import Path

import numpy as np
import torch
from dlkd_core.export.safetensors_file import SafetensorsFile
from PIL import Image, ImageOps

classes = json.load(open("config.json"))["classes"]
image = Image.open("picture.png").convert("RGB")
image = {_resized(report["image"])}
pixels = torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255)
logits = SafetensorsFile().load(Path("student.safetensors"))(pixels)
print(classes[logits.argmax()])
```"""


def _lineage(report: dict[str, Any]) -> str:
    told = {name: value for name, value in report["lineage"].items() if value is not None}
    return "\n".join(f"- {name.replace('_', ' ')}: `{value}`" for name, value in told.items())
