"""The model card of a student, in the format of the Hugging Face Hub.

Only the report is needed to render a card. torch is not imported.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.reporting.gain import describe_gain
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode


class ClassifierState(StrEnum):
    """Whether the method trained the student's classifier, as stated in the report."""

    TRAINED = "trained"
    UNTRAINED = "untrained"


UNTRAINED_CLASSIFIER_NOTICE = (
    "The student's classifier is untrained, because the method has no loss on labels or logits. "
    "Use its features, or train a classifier on them: its logits are meaningless until then."
)
_UNLABELED_NOTICE = " The images have no labels, so the share of correct predictions is unknown."
_LICENSE = (
    "Not specified. The weights are derived from the teacher's weights and the training images, so "
    "their licenses determine how this model may be used. State the license here before you share "
    "the model."
)
_KNN_LABEL = "k-NN top-1 of the features"


class MeasuredFile(Protocol):
    """A model file, as listed on the card."""

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


def build_config(report: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration that a program needs to use the weights.

    It contains the architecture, its options, the classes, the image size, the normalization and
    the number of parameters.
    """
    names = ("architecture", "options", "classes", "image", "normalization", "parameters")
    return {
        **{name: report[name] for name in names},
        "input": _describe_input(_count_channels(report["image"])),
    }


def _count_channels(image: dict[str, Any]) -> int:
    return int(image.get("channels", RGB_CHANNELS))  # older reports do not state it


def _describe_input(channels: int) -> str:
    colors = {1: " grayscale", 3: " RGB"}.get(channels, "")
    return f"image: (batch, {channels}, H, W) float32{colors} in [0, 1]"


def render_model_card(report: dict[str, Any], files: Sequence[MeasuredFile], title: str) -> str:
    """Render the model card as Markdown with YAML front matter."""
    sections = [
        _front_matter(report, title),
        f"# {title}\n\n{_summary(report)}",
        f"## Evaluation\n\n{_evaluation(report['metrics'])}",
        f"## Files\n\n{_files(files)}",
        f"## How to use\n\n{_usage(report, files)}",
        f"## Lineage\n\n{_lineage(report)}",
        f"## License\n\n{_LICENSE}",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(report: dict[str, Any], title: str) -> str:
    student = report["metrics"]["student"]
    result = {
        "name": title,
        "results": [
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": "val split of the job's dataset", "type": "image-folder"},
                "metrics": [_headline_metric(student)],
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
    # JSON values are valid YAML.
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _headline_metric(student: dict[str, Any]) -> dict[str, Any]:
    if student.get("knn_top1") is not None:
        return {"type": "accuracy", "name": _KNN_LABEL, "value": round(student["knn_top1"], 4)}
    if student.get("agreement") is not None and student.get("top1") is None:
        return {
            "type": "agreement",
            "name": "agreement with the teacher",
            "value": round(student["agreement"], 4),
        }
    return {
        "type": "accuracy",
        "value": None if student.get("top1") is None else round(student["top1"], 4),
    }


def _summary(report: dict[str, Any]) -> str:
    teacher, image = report["metrics"]["teacher"], report["image"]
    if teacher:
        training = f"distilled from {_describe_teacher(teacher)}"
    else:
        training = "trained on labels without a teacher"
    if report.get("classifier") != ClassifierState.UNTRAINED:
        task, notice = f"classifies images into {len(report['classes'])} classes", ""
    else:
        task, notice = "computes image features", f"\n\n**{UNTRAINED_CLASSIFIER_NOTICE}**"
    return (
        f"A {report['architecture']} with {report['parameters']:,} parameters, {training}. "
        f"It {task}. The input size is {image['height']} x {image['width']} pixels"
        f"{_describe_channels(_count_channels(image))}.{notice}"
        f"{_gain_and_warnings(report)}"
    )


def _describe_channels(channels: int) -> str:
    return {1: " in grayscale", 3: ""}.get(channels, f" with {channels} channels")


def _gain_and_warnings(report: dict[str, Any]) -> str:
    baseline = report["metrics"].get("baseline")
    paragraphs = [f"**{describe_gain(baseline)}**"] if baseline else []
    paragraphs += [f"**Warning:** {text}" for text in report.get("warnings") or []]
    return "".join(f"\n\n{paragraph}" for paragraph in paragraphs)


def _describe_teacher(teacher: dict[str, Any]) -> str:
    count = teacher.get("parameters")
    parameters = f" ({count:,} parameters)" if count else ""
    return f"a {teacher.get('architecture') or 'teacher'}{parameters}"


def _evaluation(metrics: dict[str, Any]) -> str:
    """Render the table of metrics, with one column for the teacher and one for the student."""
    # Old reports state 0 multiply-accumulates for networks that torch does not run.
    columns = {
        name: {**values, "macs": values.get("macs") or None}
        for name in ("teacher", "student")
        if (values := metrics.get(name))
    }
    rows = [
        ("top-1", "top1", ".2%"),
        ("top-5", "top5", ".2%"),
        ("calibration error (ECE)", "ece", ".4f"),
        ("negative log-likelihood", "nll", ".4f"),
        ("parameters", "parameters", ","),
        ("multiply-accumulates", "macs", ","),
        ("latency of a single image, median (ms)", "latency_ms", ".2f"),
        ("throughput in batches of 64 (images per second)", "throughput", ",.0f"),
    ]
    if any(values.get("knn_top1") is not None for values in columns.values()):
        rows.insert(0, (_KNN_LABEL, "knn_top1", ".2%"))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for label, metric, form in rows:
        cells = (_format_optional(values.get(metric), form) for values in columns.values())
        lines.append(f"| {label} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    return f"{table}\n\n{_evaluation_notes(metrics['student'])}"


def _evaluation_notes(student: dict[str, Any]) -> str:
    images = _format_optional(student.get("images"), ",")
    notes = f"Measured on the {images} images of the val split, on the CPU."
    agreement = student.get("agreement")
    if agreement is not None:
        notes += f"\n\nStudent and teacher agree on {agreement:.2%} of the images."
    if student.get("top1") is None and student.get("knn_top1") is None:
        notes += _UNLABELED_NOTICE
    return notes


def _format_optional(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _files(files: Sequence[MeasuredFile]) -> str:
    lines = ["| file | bytes | top-1 | latency (ms) | sha256 |", "|---|---|---|---|---|"]
    for file in files:
        top1 = _format_optional(file.top1, ".2%")
        latency = _format_optional(file.latency_ms, ".2f")
        lines.append(f"| {file.name} | {file.size:,} | {top1} | {latency} | `{file.sha256}` |")
    table = "\n".join(lines)
    return (
        f"{table}\n\nEvery file was loaded back and evaluated on the val split before it was "
        "published."
    )


def _usage(report: dict[str, Any], files: Sequence[MeasuredFile]) -> str:
    graphs = [file.name for file in files if file.name.endswith(".onnx")]
    return _onnx_snippet(report, graphs[0]) if graphs else _torch_snippet(report)


def _onnx_snippet(report: dict[str, Any], graph: str) -> str:
    imports, pixels = _read_picture(report["image"])
    return f"""```python
import json

import numpy as np
import onnxruntime{imports}

classes = json.load(open("config.json"))["classes"]
{pixels}
logits = onnxruntime.InferenceSession("{graph}").run(["logits"], {{"image": pixels}})[0]
print(classes[logits.argmax()])
```"""


def _torch_snippet(report: dict[str, Any]) -> str:
    imports, pixels = _read_picture(report["image"])
    return f"""```python
import json
from pathlib import Path

import numpy as np
import torch
from dlkd_core.export.safetensors_exporter import SafetensorsExporter{imports}

classes = json.load(open("config.json"))["classes"]
{pixels}
logits = SafetensorsExporter().load(Path("student.safetensors"))(torch.from_numpy(pixels))
print(classes[logits.argmax()])
```"""


def _read_picture(image: dict[str, Any]) -> tuple[str, str]:
    """Return the imports and the code that read one image as `pixels`, (1, C, H, W) float32.

    Images with other channels than grayscale and RGB are read from a NumPy file.
    """
    channels = _count_channels(image)
    mode = {1: "L", 3: "RGB"}.get(channels)
    if mode is None:
        shape = f"({channels}, {image['height']}, {image['width']})"
        code = 'pixels = np.load("picture.npy").astype(np.float32)[None] / 255'
        return "", f"{code}  # bytes of shape {shape}"
    axes = "[None, None]" if channels == 1 else ".transpose(2, 0, 1)[None]"
    return (
        "\nfrom PIL import Image, ImageOps",
        f"""image = Image.open("picture.png").convert("{mode}")
image = {_resize_code(image)}
pixels = np.asarray(image, np.float32){axes} / 255""",
    )


def _resize_code(image: dict[str, Any]) -> str:
    """Return Python code that resizes an image the way the training images were resized."""
    size = f"({image['width']}, {image['height']})"
    return {
        ResizeMode.CROP: f"ImageOps.fit(image, {size}, Image.Resampling.BILINEAR)",
        ResizeMode.PAD: f'ImageOps.pad(image, {size}, Image.Resampling.BILINEAR, color="black")',
        ResizeMode.STRETCH: f"image.resize({size}, Image.Resampling.BILINEAR)",
    }[image.get("resize", DEFAULT_RESIZE)]


def _lineage(report: dict[str, Any]) -> str:
    return "\n".join(
        f"- {name.replace('_', ' ')}: `{value}`"
        for name, value in report["lineage"].items()
        if value is not None
    )
