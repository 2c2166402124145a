"""The student as safetensors: its weights under its own keys, the rest in the header's metadata."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.student import Student
from dlkd_core.export.work import Work
from dlkd_core.spec import DEFAULT_RESIZE, Normalization
from dlkd_core.teachers.safetensors_file import UNTRAINED


class SafetensorsFile:
    """Writes and reads `student.safetensors`."""

    agreement = CloseLogits(1e-4)  # the weights are the same, the memory layout may not be

    def write(self, work: Work, path: Path) -> None:
        """The weights; architecture, options, classes, normalisation, image size and untrained layers as metadata."""
        student = work.student
        facts = {
            "format": "pt",
            "architecture": student.architecture,
            "options": json.dumps(dict(student.options)),
            "classes": json.dumps(student.classes),
            "normalization": student.normalization.model_dump_json(),
            "size": json.dumps(student.size),
            "resize": json.dumps(student.resize),
        }
        if not student.trained_classifier:
            facts[UNTRAINED] = ",".join(student.network().classifiers)
        path.write_bytes(_in_order(save({key: value.contiguous().clone() for key, value in student.weights.items()}, facts)))

    def load(self, path: Path) -> Forward:
        """The file's own network, built from its metadata alone."""
        return torch.inference_mode()(read_student(path).deployable())


def read_student(path: Path) -> Student:
    """The student that the file holds, of its weights and metadata alone."""
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    return Student(
        architecture=facts["architecture"],
        options=json.loads(facts["options"]),
        classes=tuple(json.loads(facts["classes"])),
        normalization=Normalization.model_validate_json(facts["normalization"]),
        size=tuple(json.loads(facts["size"])),
        weights=weights,
        resize=json.loads(facts.get("resize", json.dumps(DEFAULT_RESIZE))),
    )


def _in_order(content: bytes) -> bytes:
    """The same file with its metadata sorted, which the library writes in a random order: equal students are equal files."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the values stay aligned
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
