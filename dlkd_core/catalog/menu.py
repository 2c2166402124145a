"""The catalog as plain JSON: what GET /v1/catalog, the portal's form and `dlkd catalog` show."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.architecture import ResizableOptions
from dlkd_core.catalog.architectures import ARCHITECTURES
from dlkd_core.catalog.evaluations import EVALUATIONS
from dlkd_core.catalog.exporters import EXPORTERS
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.sources import SOURCES
from dlkd_core.catalog.timm_names import TIMM, TIMM_NAMES, TIMM_SOURCE

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def describe() -> dict[str, Any]:
    """Everything that a spec picks by name, with summaries, sources and the schemas of the parameters."""
    return {
        "methods": _methods(),
        "architectures": _architectures(),
        "timm": _timm(),
        "exporters": _exporters(),
        "evaluations": _evaluations(),
        "sources": _sources(),
    }


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
            "pretrained": entry.weights is not None,
            "schema": entry.options.model_json_schema(),
        }
        for entry in ARCHITECTURES.values()
        if entry.family != "timm"
    ]


def _timm() -> dict[str, Any]:
    """A thousand networks as a table. `image_size`: of those that are made for one side, which can be chosen, the usual one."""
    columns = ["name", "min_size", "max_size", "pretrained", "image_size", "parameters"]
    rows = [
        [entry.name, entry.min_size, entry.max_size, entry.weights is not None, entry.side, facts.parameters]
        for entry, facts in zip(TIMM, TIMM_NAMES.values(), strict=True)
    ]
    return {"source": TIMM_SOURCE, "columns": columns, "rows": rows, "image_size_schema": ResizableOptions.model_json_schema()}


def _exporters() -> list[dict[str, Any]]:
    return [
        {"name": entry.name, "file": entry.file, "summary": entry.summary, "schema": _NO_PARAMETERS}
        for entry in EXPORTERS.values()
    ]


def _evaluations() -> list[dict[str, Any]]:
    return [
        {"name": name, "summary": _first_line(entry), "source": entry.source, "schema": entry.model_json_schema()}
        for name, entry in EVALUATIONS.items()
    ]


def _sources() -> list[dict[str, Any]]:
    return [{"name": entry.name, "summary": entry.summary, "schema": _NO_PARAMETERS} for entry in SOURCES.values()]


def _first_line(thing: type) -> str:
    return (getdoc(thing) or "").partition("\n")[0]
