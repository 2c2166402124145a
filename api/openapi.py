"""OpenAPI 3.1, complete enough to generate a client from: every refusal is documented as the problem that it is."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.enums import name_alike
from api.problems import MEDIA_TYPE, Problem
from api.schemas import TeacherForm

_METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
_REFUSALS = {"401": "The key is missing or not one of this service", "4XX": "The request was refused", "5XX": "The server failed"}
_DEAD = ("HTTPValidationError", "ValidationError")
DESCRIPTION = """Bring a teacher checkpoint, name a student architecture and a data set, and get back a small model
that you can ship.

Upload a teacher (`POST /v1/teachers`) and a data set (`POST /v1/datasets`), submit a job that names them (`POST /v1/jobs`),
follow its progress (`GET /v1/jobs/{id}` or its events), and download the files of the model (`GET /v1/models/{id}`).
"""


def install(app: FastAPI) -> None:
    """Makes /openapi.json, once, when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for model in (Problem, TeacherForm):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for name in _DEAD:
        schemas.pop(name, None)
    name_alike(document)
    for path, operations in document["paths"].items():
        for method in _METHODS & operations.keys():
            _refusals(operations[method], guarded=path.startswith("/v1/"))
    return document


def _refusals(operation: dict[str, Any], *, guarded: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status, words in _REFUSALS.items():
        if guarded or status != "401":
            responses[status] = {
                "description": words,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
