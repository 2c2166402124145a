"""Comparison of the wire contract with a stored list.

The contract covers operations, parameters, field paths, enum values and error codes. Clients rely
on every line of `wire_contract.txt`. After adding a route, a field or a code, regenerate the list
with `python -m tests.api.test_wire_contract` and check that the diff only adds lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import create_app
from api.problems import MEDIA_TYPE as PROBLEM
from dlkd_core.errors import DistillationError
from registry.db.database import Database
from registry.errors import RegistryError
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue

CONTRACT = Path(__file__).with_name("wire_contract.txt")
_UNIONS = ("anyOf", "oneOf", "allOf")
_CONSTRAINTS = (
    "type",
    "format",
    "const",
    "default",
    "pattern",
    "contentMediaType",
    "additionalProperties",
)


def contract_lines(document: dict[str, Any]) -> list[str]:
    """Return the wire contract of an OpenAPI document as sorted lines.

    The contract does not include descriptions or component names.
    """
    lines = set[str]()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines.update(_operation_lines(f"{method.upper()} {path}", operation, document))
    return sorted(lines)


def _operation_lines(
    prefix: str, operation: dict[str, Any], document: dict[str, Any]
) -> Iterator[str]:
    yield f"{prefix} operationId={operation['operationId']}"
    for parameter in operation.get("parameters", []):
        name = f"{prefix} {parameter['in']}:{parameter['name']}"
        yield f"{name} {'required' if parameter.get('required') else 'optional'}"
        yield from _schema_lines(name, parameter["schema"], document, ())
    contents = [("request", operation.get("requestBody", {})), *operation["responses"].items()]
    for status, part in contents:
        yield f"{prefix} {status}"
        yield from (f"{prefix} {status} header:{name}" for name in part.get("headers", {}))
        for media_type, content in part.get("content", {}).items():
            yield f"{prefix} {status} {media_type}"
            name = media_type if media_type == PROBLEM else f"{prefix} {status}"
            yield from _schema_lines(name, content.get("schema", {}), document, ())


def _schema_lines(
    prefix: str, schema: dict[str, Any], document: dict[str, Any], parents: tuple[str, ...]
) -> Iterator[str]:
    if "$ref" in schema:
        component = schema["$ref"].rpartition("/")[2]
        if component in parents:
            yield f"{prefix} recursive"
            return
        resolved = document["components"]["schemas"][component]
        yield from _schema_lines(prefix, resolved, document, (*parents, component))
    yield from _constraint_lines(prefix, schema)
    for nested_prefix, nested in _nested_schemas(prefix, schema):
        yield from _schema_lines(nested_prefix, nested, document, parents)


def _constraint_lines(prefix: str, schema: dict[str, Any]) -> Iterator[str]:
    for keyword in _CONSTRAINTS:
        if keyword in schema and not isinstance(schema[keyword], dict):
            yield f"{prefix} {keyword}={schema[keyword]!r}"
    yield from (f"{prefix} value={value!r}" for value in schema.get("enum", ()))
    for name in schema.get("properties", {}):
        need = "required" if name in schema.get("required", ()) else "optional"
        yield f"{prefix}.{name} {need}"


def _nested_schemas(prefix: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{prefix}.{name}", field
    for keyword, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(keyword), dict):
            yield prefix + suffix, schema[keyword]
    for position, item in enumerate(schema.get("prefixItems", ())):
        yield f"{prefix}[{position}]", item
    for keyword in _UNIONS:
        for option in schema.get(keyword, ()):
            yield prefix, option


def current_lines() -> list[str]:
    app = create_app(Settings(), Database("sqlite://"), InMemoryJobQueue(), Store("memory:///"))
    codes = {
        error.code for base in (RegistryError, DistillationError) for error in _subclasses(base)
    }
    return [*contract_lines(app.openapi()), *sorted(f"code {code}" for code in codes)]


def _subclasses(error: Any) -> Iterator[Any]:
    yield error
    for subclass in error.__subclasses__():
        yield from _subclasses(subclass)


def test_the_wire_contract_is_the_stored_one() -> None:
    stored = CONTRACT.read_text().splitlines()
    current = current_lines()
    removed, added = sorted(set(stored) - set(current)), sorted(set(current) - set(stored))
    assert removed == [], "clients rely on these"
    assert added == [], "update the list: python -m tests.api.test_wire_contract"


if __name__ == "__main__":
    CONTRACT.write_text("".join(f"{line}\n" for line in current_lines()))
