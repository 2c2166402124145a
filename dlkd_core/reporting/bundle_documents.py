"""The documents in a bundle: model card, configuration, lineage, report and manifest."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Protocol

from dlkd_core.reporting.model_card import MeasuredFile, build_config, render_model_card

BUNDLE_FORMAT = "dlkd-bundle/1"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.json"
CARD_FILE = "README.md"
CONFIG_FILE = "config.json"
LINEAGE_FILE = "lineage.json"

_FILE_FIELDS = ("name", "size", "sha256", "format", "top1", "latency_ms")


class BundledFile(MeasuredFile, Protocol):
    """A file in the bundle, with its measurements and export format."""

    @property
    def format(self) -> str: ...


def render_documents(
    report: dict[str, Any], files: Sequence[BundledFile], name: str, version: int | None = None
) -> dict[str, bytes]:
    """Return the content of each document by file name, starting with the manifest.

    The manifest lists every file with its SHA-256 and its measurements.
    """
    title = name if version is None else f"{name} {version}"
    documents = {
        CARD_FILE: render_model_card(report, files, title).encode(),
        CONFIG_FILE: _to_json(build_config(report)),
        LINEAGE_FILE: _to_json(report["lineage"]),
        REPORT_FILE: _to_json(report),
    }
    entries = [
        {"name": name, "size": len(text), "sha256": sha256(text).hexdigest()}
        for name, text in documents.items()
    ]
    entries += [{field: getattr(file, field) for field in _FILE_FIELDS} for file in files]
    manifest = {
        "format": BUNDLE_FORMAT,
        "model": {"name": name, "version": version},
        "files": entries,
    }
    return {MANIFEST_FILE: _to_json(manifest), **documents}


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()
