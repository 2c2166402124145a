"""From pydantic's locations to JSON pointers (RFC 6901) into the body that the client sent."""

from collections.abc import Iterator, Sequence
from typing import Any

_KEY = "[key]"  # pydantic's mark of a key that does not fit; the key itself stands before it


def field_problems(errors: Sequence[Any], body: Any) -> Iterator[dict[str, str]]:
    """Pointer or parameter, code and message of each of pydantic's errors."""
    for error in errors:
        source, *path = error["loc"]
        context = error.get("ctx", {})
        entry = {"code": str(error["type"]), "message": str(context.get("message", error["msg"]))}
        if source == "body":
            yield {"pointer": pointer(path, body, error["type"]) + str(context.get("pointer", "")), **entry}
        else:
            yield {"parameter": ".".join(part for part in path if isinstance(part, str)), **entry}


def pointer(path: Sequence[str | int], body: Any, code: str) -> str:
    """The pointer of a location. Tags of unions, which stand in the location but not in the body, are left out.

    A name that the body lacks is kept only where it is the missing field itself.
    """
    if code == "json_invalid" and not isinstance(body, dict):
        return ""  # the body itself is no JSON: the location is where reading stopped
    here, parts = body, []
    for index, part in enumerate(path):
        if part == _KEY:
            continue
        if isinstance(here, str):
            pass  # JSON in a form's text field: the location goes on inside it
        elif _has(here, part):
            here = here[part]
        elif not (code == "missing" and index == len(path) - 1):
            continue
        parts.append(str(part).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in parts)


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)
