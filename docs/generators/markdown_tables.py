"""Markdown tables, and descriptions of JSON schema types for their cells."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent
_MARKDOWN_TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)

_BOUND_LABELS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_LENGTH_LABELS = {
    "minLength": "characters or more",
    "maxLength": "characters at most",
    "minItems": "items or more",
    "maxItems": "items at most",
}
_MAX_ALTERNATIVES = 12  # longer lists are replaced by the number of names


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table. Line breaks and bars within cells are escaped."""
    header = list(columns)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_escape_cell, line))} |" for line in lines)


def copy_table(page: str, *heading: str) -> str:
    """Return the first table under a heading on another page.

    Raises:
        LookupError: The page has no such heading, or no table under it.
    """
    title = " ".join(heading)
    _, found, rest = (DOCS / page).read_text().partition(f"## {title}\n")
    table = _MARKDOWN_TABLE.search(rest.split("\n## ")[0])
    if not found or table is None:
        raise LookupError(f"{page} has no table under the heading {title!r}.")
    return table[0]


def json_code(value: object) -> str:
    """Return a value as inline code, as it is written in JSON."""
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def describe_type(schema: Mapping[str, Any], links: Mapping[str, str] | None = None) -> str:
    """Return a schema's type with its limits, for example `number, at least 0`.

    Args:
        schema: JSON schema of the value.
        links: Link target of each named schema.
    """
    return ", ".join([_type_name(schema, links or {}), *_describe_limits(schema)])


def _type_name(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}]({links[name]})" if name in links else name
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return _join_alternatives([describe_type(item, links) for item in schema[keyword]])
    if "const" in schema:
        return json_code(schema["const"])
    if "enum" in schema:
        names = [json_code(name) for name in schema["enum"]]
        return (
            " or ".join(names) if len(names) <= _MAX_ALTERNATIVES else f"one of {len(names)} names"
        )
    if schema.get("type") == "array":
        return _array_type(schema, links)
    return str(schema.get("format") or schema.get("type") or "anything")


def _array_type(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    if items := schema.get("items"):
        return f"list of {describe_type(items, links)}"
    return f"list of {len(schema['prefixItems'])} values" if "prefixItems" in schema else "list"


def _join_alternatives(types: list[str]) -> str:
    distinct = list(dict.fromkeys(types))
    if len(distinct) > _MAX_ALTERNATIVES:
        return f"{', '.join(distinct[:2])} or one of {len(distinct) - 2} more"
    nullable = ["null"] if "null" in distinct else []
    return " or ".join([*(name for name in distinct if name != "null"), *nullable])


def _describe_limits(schema: Mapping[str, Any]) -> list[str]:
    bounds = [
        f"{label} {schema[key]:g}" if abs(schema[key]) < 1e5 else f"{label} {schema[key]:,.0f}"
        for key, label in _BOUND_LABELS.items()
        if key in schema
    ]
    lengths = [f"{schema[key]:,} {label}" for key, label in _LENGTH_LABELS.items() if key in schema]
    return bounds + lengths


def _escape_cell(text: str) -> str:
    return " ".join(text.replace("|", "&#124;").split())
