"""Markdown tables, and what JSON schemas say, in words."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_COUNTS = {"minLength": "characters or more", "maxLength": "characters at most", "minItems": "or more", "maxItems": "at most"}
_MANY = 12  # more names than these are told by their number


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The rows under the columns' names; lines and bars within a cell do it no harm."""
    head = list(columns)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in line)} |" for line in lines)


def code(value: object) -> str:
    """A value as it stands in JSON."""
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def kind(schema: Mapping[str, Any], links: Mapping[str, str] | None = None) -> str:
    """The type of a value, with its limits: `number, at least 0`. `links` leads from a schema's name to its place on the page."""
    return ", ".join([_type(schema, links or {}), *_limits(schema)])


def _type(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}]({links[name]})" if name in links else name
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _choice([kind(one, links) for one in schema[several]])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        names = [code(name) for name in schema["enum"]]
        return " or ".join(names) if len(names) <= _MANY else f"one of {len(names)} names"
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return (
            f"list of {kind(items, links)}"
            if items
            else f"list of {len(schema.get('prefixItems', ()))} values"
            if "prefixItems" in schema
            else "list"
        )
    return str(schema.get("format") or schema.get("type") or "anything")


def _choice(kinds: list[str]) -> str:
    found = list(dict.fromkeys(kinds))
    if len(found) > _MANY:
        return f"{', '.join(found[:2])} or one of {len(found) - 2} more"
    return " or ".join([*(one for one in found if one != "null"), *(["null"] if "null" in found else [])])


def _limits(schema: Mapping[str, Any]) -> list[str]:
    bounds = [
        f"{words} {schema[key]:g}" if abs(schema[key]) < 1e5 else f"{words} {schema[key]:,.0f}"
        for key, words in _LIMITS.items()
        if key in schema
    ]
    return [*bounds, *(f"{schema[key]:,} {words}" for key, words in _COUNTS.items() if key in schema)]
