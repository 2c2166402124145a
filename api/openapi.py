"""The OpenAPI 3.1 document, with everything that is needed to generate a client."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import HTTP_METHODS, MEDIA_TYPE, Problem
from api.schemas.input_schemas import TeacherForm

_ERROR_RESPONSES = {
    "401": "The API key is missing or invalid.",
    "4XX": "The request was rejected.",
    "5XX": "The server failed to process the request.",
}
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")
DESCRIPTION = """Compress a trained model. Upload a teacher checkpoint and a dataset, choose a
student architecture, and download a small model that you can ship.

1. Upload a teacher (`POST /v1/teachers`) and a dataset (`POST /v1/datasets`).
2. Submit a job that refers to them (`POST /v1/jobs`).
3. Follow its progress (`GET /v1/jobs/{job_id}` or `GET /v1/jobs/{job_id}/events`).
4. Download the files of the model (`GET /v1/models/{model}`).
"""


def install_openapi(app: FastAPI) -> None:
    """Serve the OpenAPI document at /openapi.json.

    The document includes the error responses, and is built on the first request.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete_document(
                get_openapi(
                    title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # documented way to extend the document


def _complete_document(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for model in (Problem, TeacherForm):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for name in _UNUSED_SCHEMAS:
        schemas.pop(name, None)
    _add_enum_varnames(document)
    methods = {method.lower() for method in HTTP_METHODS}
    for path, operations in document["paths"].items():
        for method in methods & operations.keys():
            _add_error_responses(operations[method], authenticated=path.startswith("/v1/"))
    return document


def _add_error_responses(operation: dict[str, Any], *, authenticated: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status, description in _ERROR_RESPONSES.items():
        if authenticated or status != "401":
            responses[status] = {
                "description": description,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }


def _add_enum_varnames(node: Any) -> None:
    """Add `x-enum-varnames` to enums whose values differ only in case.

    Otherwise client generators would derive the same constant name from such values.
    """
    if isinstance(node, list):
        for item in node:
            _add_enum_varnames(item)
    elif isinstance(node, dict):
        values = node.get("enum")
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            _add_varnames(node, values)
        for item in node.values():
            _add_enum_varnames(item)


def _add_varnames(schema: dict[str, Any], values: Sequence[str]) -> None:
    names = [re.sub(r"\W", "_", value).upper() for value in values]
    if len(set(names)) == len(names):
        return
    counts = Counter[str]()
    for index, name in enumerate(names):
        counts[name] += 1
        names[index] = name if counts[name] == 1 else f"{name}_{counts[name]}"
    schema["x-enum-varnames"] = names
