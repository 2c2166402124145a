"""The REST reference, from the very document that the service gives at /openapi.json."""

from functools import cache
from typing import Any

from api.access import NEEDS, need_of
from api.app import create_app
from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.terms import TERMS
from docs.building import examples, tables
from registry.access import Role
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue

_ELSEWHERE = {method.__name__ for method in METHODS.values()} | {term.__name__ for term in TERMS.values()}
_VOWELS = {Role.OPERATOR, Role.ADMIN}  # that begin with one
_EVERYWHERE = {"401", "4XX", "5XX"}


@cache
def document() -> dict[str, Any]:
    """The service's OpenAPI document."""
    return create_app(Settings(), Database("sqlite://"), MemoryQueue(), Store("memory:///")).openapi()


def operations() -> str:
    """Every operation, by what it is about."""
    groups: dict[str, list[str]] = {}
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["service"])[0], []).append(_operation(method.upper(), path, operation))
    return "\n\n".join(f"## {tag.capitalize()}\n\n" + "\n\n".join(parts) for tag, parts in groups.items())


def schemas() -> str:
    """Every schema that bodies are made of, but methods and terms, which have their own page."""
    return "\n\n".join(_schema(name, schema) for name, schema in _own().items())


def _own() -> dict[str, Any]:
    return {name: schema for name, schema in sorted(document()["components"]["schemas"].items()) if name not in _ELSEWHERE}


def _links(page: str) -> dict[str, str]:
    of_methods = {method.__name__: f"methods.md#{name}" for name, method in METHODS.items()}
    of_terms = {term.__name__: "methods.md#combine" for term in TERMS.values()}
    return of_terms | of_methods | {name: f"{page}#{name.lower()}" for name in _own()}


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"### `{method} {path}` {{ #{operation['operationId']} }}", operation.get("description", ""), _need(method, path)]
    if operation.get("parameters"):
        parts.append(_parameters(operation["parameters"]))
    parts += _bodies(operation.get("requestBody", {}).get("content", {}))
    parts.append(_answers(operation["responses"]))
    parts.append(f"```sh\n{examples.curl(method, path, operation)}\n```")
    return "\n\n".join(part for part in parts if part)


def _need(method: str, path: str) -> str:
    if f"{method} {path}" not in NEEDS:
        return "Asks for no key." if not path.startswith("/v1/") else ""
    role, scope = need_of(method, path)
    return f"For {'an' if role in _VOWELS else 'a'} {role} or more" + (f"; scope `{scope}`." if scope else ".")


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = (
        (
            f"`{one['name']}`",
            one["in"] + (", required" if one.get("required") and one["in"] != "path" else ""),
            tables.kind(one["schema"]),
            tables.code(one["schema"]["default"]) if one["schema"].get("default") is not None else "",
            one.get("description", ""),
        )
        for one in parameters
    )
    return tables.table(("parameter", "in", "type and limits", "default", "meaning"), rows)


def _bodies(content: dict[str, Any]) -> list[str]:
    """The forms of a body; media types of one schema together."""
    schemas: list[dict[str, Any]] = []
    for media in content.values():
        if media.get("schema") not in [None, *schemas]:
            schemas.append(media["schema"])
    return [
        _body([f"`{name}`" for name, media in content.items() if media.get("schema") == schema], schema) for schema in schemas
    ]


def _body(media: list[str], schema: dict[str, Any]) -> str:
    links = _links("schemas.md")
    if "properties" in schema:
        return f"Body, {' or '.join(media)}:\n\n{_fields(schema, links)}"
    return f"Body, {' or '.join(media)}: {tables.kind(schema, links)}."


def _answers(responses: dict[str, Any]) -> str:
    rows = []
    for status, answer in sorted(responses.items()):
        if status in _EVERYWHERE:
            continue
        kinds = [
            f"{tables.kind(content['schema'], _links('schemas.md'))} (`{media}`)"
            for media, content in answer.get("content", {}).items()
            if content.get("schema")
        ]
        rows.append((f"`{status}`", answer["description"].replace("Successful Response", ""), " or ".join(kinds)))
    if not any(when or body for _, when, body in rows):
        return f"Answers {' or '.join(status for status, _, _ in rows)}."
    return tables.table(("status", "when", "body"), rows)


def _schema(name: str, schema: dict[str, Any]) -> str:
    words = (schema.get("description") or "").strip()
    fields = _fields(schema, _links("")) if schema.get("properties") else tables.kind(schema, _links(""))
    return "\n\n".join(part for part in (f"### {name} {{ #{name.lower()} }}", words, fields) if part)


def _fields(schema: dict[str, Any], links: dict[str, str]) -> str:
    needed = set(schema.get("required", ()))
    rows = (
        (f"`{name}`", tables.kind(field, links), _default(name, field, needed), field.get("description", ""))
        for name, field in schema["properties"].items()
    )
    return tables.table(("field", "type and limits", "default", "meaning"), rows)


def _default(name: str, field: dict[str, Any], needed: set[str]) -> str:
    if name in needed or "default" not in field:
        return "required" if name in needed else ""
    return tables.code(field["default"])
