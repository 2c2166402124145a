"""Bundles as they come from elsewhere, sound ones and others."""

import io
import json
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from dlkd_core.bundle import MANIFEST, texts

WEIGHTS = b"weights of a student"
REPORT: dict[str, Any] = {
    "architecture": "resnet8",
    "options": {},
    "parameters": 78_042,
    "classes": ["cat", "dog"],
    "image": {"channels": 3, "height": 32, "width": 32, "resize": "crop"},
    "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "metrics": {"teacher": None, "student": {"top1": 0.5, "latency_ms": 1.5}},
    "lineage": {"run": "0123", "seed": 7},
}


@dataclass(frozen=True)
class File:
    """What was exported, as the manifest tells it."""

    name: str
    content: bytes
    format: str
    top1: float | None = 0.5
    latency_ms: float | None = 1.5

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()


def members(report: dict[str, Any] = REPORT, *files: File) -> dict[str, bytes]:
    """The contents by name."""
    held = files or (File("student.safetensors", WEIGHTS, "safetensors"),)
    return {**texts(report, held, "pets", 3), **{file.name: file.content for file in held}}


def packed(contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The same bytes for the same contents, whatever the clock says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def bundle() -> bytes:
    """A sound one."""
    return packed(members())


def retold(contents: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The same with another manifest."""
    manifest = {**json.loads(contents[MANIFEST]), **changes}
    return {**contents, MANIFEST: json.dumps(manifest).encode()}
