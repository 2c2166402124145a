"""Safetensors exporter: writes the state dict as tensors and everything else as metadata."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.student import Student
from dlkd_core.export.tolerance import LogitTolerance
from dlkd_core.safetensors_header import encode_header, split_header
from dlkd_core.spec import DEFAULT_RESIZE, Normalization
from dlkd_core.teachers.reading.safetensors_reader import UNTRAINED_KEY


class SafetensorsExporter:
    """Writes and reads `student.safetensors`."""

    tolerance = LogitTolerance(1e-4)  # same weights, but possibly another memory layout

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the weights, and the metadata from which the network can be built.

        The metadata contains the architecture, its options, the classes, the normalization, the
        image size, the resize mode and the untrained layers.
        """
        student = context.student
        metadata = {
            "format": "pt",
            "architecture": student.architecture,
            "options": json.dumps(dict(student.options)),
            "classes": json.dumps(student.classes),
            "normalization": student.normalization.model_dump_json(),
            "size": json.dumps(student.size),
            "resize": json.dumps(student.resize),
        }
        if not student.has_trained_classifier:
            metadata[UNTRAINED_KEY] = ",".join(student.build_network().classifiers)
        weights = {key: value.contiguous().clone() for key, value in student.weights.items()}
        path.write_bytes(_sort_metadata(save(weights, metadata)))

    def load(self, path: Path) -> LogitsFn:
        """Build the network from the file's metadata and load the weights into it."""
        return torch.inference_mode()(read_student(path).build_deployable())


def read_student(path: Path) -> Student:
    """Read a student from a safetensors file. Nothing but the file is needed."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    return Student(
        architecture=metadata["architecture"],
        options=json.loads(metadata["options"]),
        classes=tuple(json.loads(metadata["classes"])),
        normalization=Normalization.model_validate_json(metadata["normalization"]),
        size=tuple(json.loads(metadata["size"])),
        weights=weights,
        resize=json.loads(metadata.get("resize", json.dumps(DEFAULT_RESIZE))),
    )


def _sort_metadata(content: bytes) -> bytes:
    """Sort the metadata in the header, so that equal students produce identical files.

    The library writes the entries in random order.
    """
    text, tensors = split_header(content)
    header = json.loads(text)
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    sorted_text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    return encode_header(sorted_text.encode()) + tensors
