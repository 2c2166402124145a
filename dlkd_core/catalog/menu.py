"""The catalog as plain JSON: what GET /v1/catalog, the portal's form and `dlkd catalog` show."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.architectures import ARCHITECTURES
from dlkd_core.catalog.exporters import EXPORTERS
from dlkd_core.catalog.methods import METHODS


def describe() -> dict[str, list[dict[str, Any]]]:
    """Methods, architectures and exporters, each with a summary, its source and the JSON schema of its parameters."""
    return {"methods": _methods(), "architectures": _architectures(), "exporters": _exporters()}


def _methods() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "summary": _first_line(method),
            "source": method.source,
            "needs_teacher": method.needs_teacher,
            "schema": method.model_json_schema(),
        }
        for name, method in METHODS.items()
    ]


def _architectures() -> list[dict[str, Any]]:
    return [
        {
            "name": entry.name,
            "family": entry.family,
            "source": entry.source,
            "min_size": entry.min_size,
            "max_size": entry.max_size,
            "schema": entry.options.model_json_schema(),
        }
        for entry in ARCHITECTURES.values()
    ]


def _exporters() -> list[dict[str, Any]]:
    return [
        {"name": entry.name, "file": entry.file, "summary": entry.summary, "schema": {"type": "object", "properties": {}}}
        for entry in EXPORTERS.values()
    ]


def _first_line(thing: type) -> str:
    return (getdoc(thing) or "").partition("\n")[0]
