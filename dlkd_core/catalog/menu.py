"""The catalog as plain JSON: what GET /v1/catalog, the portal's form and `dlkd catalog` show."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.architectures import ARCHITECTURES
from dlkd_core.catalog.exporters import EXPORTERS
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.sources import SOURCES

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def describe() -> dict[str, list[dict[str, Any]]]:
    """Methods, architectures, exporters and forms of data sets, with summaries, sources and the schemas of their parameters."""
    return {"methods": _methods(), "architectures": _architectures(), "exporters": _exporters(), "sources": _sources()}


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
        {"name": entry.name, "file": entry.file, "summary": entry.summary, "schema": _NO_PARAMETERS}
        for entry in EXPORTERS.values()
    ]


def _sources() -> list[dict[str, Any]]:
    return [{"name": entry.name, "summary": entry.summary, "schema": _NO_PARAMETERS} for entry in SOURCES.values()]


def _first_line(thing: type) -> str:
    return (getdoc(thing) or "").partition("\n")[0]
