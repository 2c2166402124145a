"""REST reference, generated from the OpenAPI document that the service serves."""

from functools import cache
from typing import Any

from api.app import create_app
from api.auth.permissions import ROUTE_ROLES, get_required_access
from dlkd_core.catalog.loss_params import TERMS
from dlkd_core.catalog.methods import METHODS
from docs.generators import curl_examples
from docs.generators.markdown_tables import describe_type, json_code, markdown_table
from registry.access.permissions import Role
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue

_METHOD_SCHEMAS = {method.__name__ for method in METHODS.values()} | {
    term.__name__ for term in TERMS.values()
}
_ROLES_WITH_AN = {Role.OPERATOR, Role.ADMIN}  # begin with a vowel
_COMMON_STATUSES = {"401", "4XX", "5XX"}


@cache
def openapi_document() -> dict[str, Any]:
    """Return the service's OpenAPI document."""
    return create_app(
        Settings(), Database("sqlite://"), InMemoryJobQueue(), Store("memory:///")
    ).openapi()


def operations() -> str:
    """Return the descriptions of all operations, grouped by tag."""
    groups: dict[str, list[str]] = {}
    for path, methods in openapi_document()["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["service"])[0], []).append(
                _render_operation(method.upper(), path, operation)
            )
    return "\n\n".join(
        f"## {tag.capitalize()}\n\n" + "\n\n".join(parts) for tag, parts in groups.items()
    )


def schemas() -> str:
    """Return the descriptions of all schemas, except those on the methods page."""
    return "\n\n".join(_render_schema(name, schema) for name, schema in _listed_schemas().items())


def _listed_schemas() -> dict[str, Any]:
    return {
        name: schema
        for name, schema in sorted(openapi_document()["components"]["schemas"].items())
        if name not in _METHOD_SCHEMAS
    }


def _schema_links(page: str) -> dict[str, str]:
    method_links = {method.__name__: f"methods.md#{name}" for name, method in METHODS.items()}
    term_links = {term.__name__: "methods.md#combine" for term in TERMS.values()}
    schema_links = {name: f"{page}#{name.lower()}" for name in _listed_schemas()}
    return term_links | method_links | schema_links


def _render_operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f"### `{method} {path}` {{ #{operation['operationId']} }}",
        operation.get("description", ""),
        _required_role(method, path),
    ]
    if operation.get("parameters"):
        parts.append(_parameter_table(operation["parameters"]))
    parts += _render_bodies(operation.get("requestBody", {}).get("content", {}))
    parts.append(_response_table(operation["responses"]))
    parts.append(f"```sh\n{curl_examples.curl_command(method, path, operation)}\n```")
    return "\n\n".join(part for part in parts if part)


def _required_role(method: str, path: str) -> str:
    if f"{method} {path}" not in ROUTE_ROLES:
        return "Requires no API key." if not path.startswith("/v1/") else ""
    role, scope = get_required_access(method, path)
    article = "an" if role in _ROLES_WITH_AN else "a"
    required_scope = f" with the scope `{scope}`" if scope else ""
    return f"Requires {article} {role} key or higher{required_scope}."


def _parameter_table(parameters: list[dict[str, Any]]) -> str:
    rows = []
    for parameter in parameters:
        schema = parameter["schema"]
        is_marked = parameter.get("required") and parameter["in"] != "path"
        rows.append(
            (
                f"`{parameter['name']}`",
                f"{parameter['in']}, required" if is_marked else parameter["in"],
                describe_type(schema),
                json_code(schema["default"]) if schema.get("default") is not None else "",
                parameter.get("description", ""),
            )
        )
    return markdown_table(("parameter", "in", "type and limits", "default", "description"), rows)


def _render_bodies(content: dict[str, Any]) -> list[str]:
    """Return one description per body schema, with all media types that use it."""
    schemas: list[dict[str, Any]] = []
    for media in content.values():
        if media.get("schema") not in [None, *schemas]:
            schemas.append(media["schema"])
    bodies = []
    for schema in schemas:
        media_types = [
            f"`{name}`" for name, media in content.items() if media.get("schema") == schema
        ]
        bodies.append(_render_body(media_types, schema))
    return bodies


def _render_body(media_types: list[str], schema: dict[str, Any]) -> str:
    links = _schema_links("schemas.md")
    accepted = " or ".join(media_types)
    if "properties" in schema:
        return f"Body, {accepted}:\n\n{_field_table(schema, links)}"
    return f"Body, {accepted}: {describe_type(schema, links)}."


def _response_table(responses: dict[str, Any]) -> str:
    links = _schema_links("schemas.md")
    rows = []
    for status, response in sorted(responses.items()):
        if status in _COMMON_STATUSES:
            continue
        bodies = [
            f"{describe_type(content['schema'], links)} (`{media_type}`)"
            for media_type, content in response.get("content", {}).items()
            if content.get("schema")
        ]
        description = response["description"].replace("Successful Response", "")
        rows.append((f"`{status}`", description, " or ".join(bodies)))
    if not any(description or body for _, description, body in rows):
        return f"Returns {' or '.join(status for status, _, _ in rows)}."
    return markdown_table(("status", "when", "body"), rows)


def _render_schema(name: str, schema: dict[str, Any]) -> str:
    links = _schema_links("")
    has_fields = bool(schema.get("properties"))
    parts = [
        f"### {name} {{ #{name.lower()} }}",
        (schema.get("description") or "").strip(),
        _field_table(schema, links) if has_fields else describe_type(schema, links),
    ]
    return "\n\n".join(part for part in parts if part)


def _field_table(schema: dict[str, Any], links: dict[str, str]) -> str:
    required = set(schema.get("required", ()))
    rows = (
        (
            f"`{name}`",
            describe_type(field, links),
            _default_of(name, field, required),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
    )
    return markdown_table(("field", "type and limits", "default", "description"), rows)


def _default_of(name: str, field: dict[str, Any], required: set[str]) -> str:
    if name in required:
        return "required"
    return json_code(field["default"]) if "default" in field else ""
