"""What a bundle says of itself: the card for people, the rest for programs, and a manifest of every file with its sha256."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Protocol

from dlkd_core.card import Measured, card, config

FORMAT = "dlkd-bundle/1"
MANIFEST, REPORT = "manifest.json", "report.json"


class Exported(Measured, Protocol):
    """A file of the bundle, and in which of the export formats it is."""

    @property
    def format(self) -> str: ...


def texts(report: dict[str, Any], files: Sequence[Exported], name: str, version: int | None = None) -> dict[str, bytes]:
    """The texts by their names in the bundle, the manifest first: what was measured stands there beside each digest."""
    told = {
        "README.md": card(report, files, name if version is None else f"{name} {version}").encode(),
        "config.json": _json(config(report)),
        "lineage.json": _json(report["lineage"]),
        REPORT: _json(report),
    }
    listed = [{"name": name, "size": len(text), "sha256": sha256(text).hexdigest()} for name, text in told.items()]
    listed += [{fact: getattr(file, fact) for fact in _FACTS} for file in files]
    return {MANIFEST: _json({"format": FORMAT, "model": {"name": name, "version": version}, "files": listed}), **told}


_FACTS = ("name", "size", "sha256", "format", "top1", "latency_ms")


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()
