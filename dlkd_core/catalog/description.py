"""The catalog as plain JSON for GET /v1/catalog, the portal's forms and `dlkd catalog`."""

from inspect import getdoc
from typing import Any

from dlkd_core.catalog.architectures import ARCHITECTURES
from dlkd_core.catalog.architectures.architecture import TIMM_FAMILY, ResizableOptions
from dlkd_core.catalog.architectures.timm_architectures import (
    TIMM_ARCHITECTURES,
    TIMM_MODEL_INFO,
    TIMM_SOURCE,
)
from dlkd_core.catalog.dataset_formats import DATASET_FORMATS
from dlkd_core.catalog.evaluation_protocols import EVALUATIONS
from dlkd_core.catalog.exporters import EXPORTERS
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.methods.base_method import Method

_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def describe_catalog() -> dict[str, Any]:
    """Return all catalog entries with summaries, sources and parameter schemas."""
    return {
        "methods": [
            {
                "name": name,
                "summary": _summary(method),
                "source": method.source,
                "needs_teacher": method.needs_teacher,
                "trains_classifier": _trains_classifier(name, method),
                "schema": method.model_json_schema(),
            }
            for name, method in METHODS.items()
        ],
        "architectures": [
            {
                "name": entry.name,
                "family": entry.family,
                "source": entry.source,
                "min_size": entry.min_size,
                "max_size": entry.max_size,
                "pretrained": entry.weights_target is not None,
                "schema": entry.options.model_json_schema(),
            }
            for entry in ARCHITECTURES.values()
            if entry.family != TIMM_FAMILY
        ],
        "timm": _describe_timm(),
        "exporters": [
            {
                "name": entry.name,
                "file": entry.file,
                "summary": entry.summary,
                "schema": _NO_PARAMETERS,
            }
            for entry in EXPORTERS.values()
        ],
        "evaluations": [
            {
                "name": name,
                "summary": _summary(entry),
                "source": entry.source,
                "schema": entry.model_json_schema(),
            }
            for name, entry in EVALUATIONS.items()
        ],
        "sources": [
            {"name": entry.name, "summary": entry.summary, "schema": _NO_PARAMETERS}
            for entry in DATASET_FORMATS.values()
        ],
    }


def _describe_timm() -> dict[str, Any]:
    # This is a table because there are more than a thousand networks. `image_size` is the default
    # image size of resizable networks.
    columns = ["name", "min_size", "max_size", "pretrained", "image_size", "parameters"]
    rows = [
        [
            entry.name,
            entry.min_size,
            entry.max_size,
            entry.weights_target is not None,
            entry.default_image_size,
            info.parameters,
        ]
        for entry, info in zip(TIMM_ARCHITECTURES, TIMM_MODEL_INFO.values(), strict=True)
    ]
    return {
        "source": TIMM_SOURCE,
        "columns": columns,
        "rows": rows,
        "image_size_schema": ResizableOptions.model_json_schema(),
    }


def _trains_classifier(name: str, method: type[Method]) -> bool:
    """Return whether the method trains the student's classifier, or can train it.

    A method that has required parameters, such as `combine`, has no defaults to look at.
    """
    fields = method.model_fields.items()
    if any(field.is_required() for key, field in fields if key != "name"):
        return True
    return method.model_validate({"name": name}).trains_classifier


def _summary(entry: type) -> str:
    return (getdoc(entry) or "").partition("\n")[0]
