"""Helpers that build valid and invalid model bundles, as another service would export them."""

import io
import json
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from dlkd_core.reporting.bundle_documents import MANIFEST_FILE, render_documents

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
class ExportedFile:
    """A model file with the attributes of its manifest entry."""

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


def bundle_members(report: dict[str, Any] = REPORT, *files: ExportedFile) -> dict[str, bytes]:
    """Return the members of a valid bundle as a dictionary that maps names to content."""
    files = files or (ExportedFile("student.safetensors", WEIGHTS, "safetensors"),)
    return {
        **render_documents(report, files, "pets", 3),
        **{file.name: file.content for file in files},
    }


def zip_members(contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive. Its bytes do not depend on the current time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def build_bundle() -> bytes:
    """Return a valid bundle as a zip archive."""
    return zip_members(bundle_members())


def with_manifest(contents: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """Return the bundle members with the given manifest fields changed."""
    manifest = {**json.loads(contents[MANIFEST_FILE]), **changes}
    return {**contents, MANIFEST_FILE: json.dumps(manifest).encode()}
