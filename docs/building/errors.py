"""Every code that the service and a run can answer with."""

from collections.abc import Iterator
from typing import TypeVar

from starlette.exceptions import HTTPException

from api import problems
from dlkd_core.errors import DistillationError
from docs.building import tables
from registry.errors import Fenced, RegistryError

Known = TypeVar("Known", type[RegistryError], type[DistillationError])
_BY_THE_FRAMEWORK = (400, 404, 405, 412, 413, 415, 416)


def table() -> str:
    """Codes of failed runs and checks: what a job's `error` holds."""
    rows = (
        (f"`{one.code}`", _meaning(one), _text(one.default_hint), "yes" if one.retryable else "no")
        for one in _tree(DistillationError)
    )
    return tables.table(("code", "what", "what to do", "tried again"), rows)


def refusals() -> str:
    """Codes of refused requests, with their HTTP status."""
    rows = [(problems.of_known(one("")).status, one.code, _meaning(one), one.default_hint) for one in _tree(RegistryError)]
    for status in _BY_THE_FRAMEWORK:
        known = problems.of_framework(HTTPException(status), "GET", "/v1/path")
        rows.append((status, known.code, known.title, known.hint))
    rows.append((422, "request_invalid", "The request does not fit its schema", "Correct the fields named in errors."))
    rows.append((500, "internal", "The server failed", "Try again; if it stays, tell the operator."))
    found = ((str(status), f"`{code}`", meaning, _text(hint)) for status, code, meaning, hint in sorted(rows))
    return tables.table(("status", "code", "what", "what to do"), found)


def _tree(root: Known) -> Iterator[Known]:
    """The class and all below it that leave the service; a fenced attempt is the worker's own affair."""
    yield root
    for child in root.__subclasses__():
        if child is not Fenced:
            yield from _tree(child)


def _meaning(error: type[Exception]) -> str:
    """The class's name as words."""
    spelt = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in error.__name__.removesuffix("Error"))
    return spelt.strip().capitalize()


def _text(hint: str) -> str:
    """A path in angle brackets is no HTML; within backticks it is code anyway."""
    parts = hint.split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))
