"""Base classes and helpers for the whole package. This module is torch-free."""

import re
from enum import StrEnum
from hashlib import file_digest
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class FrozenModel(BaseModel):
    """An immutable pydantic model that rejects unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="constants", protected_namespaces=()
    )


class LiteralEnum(StrEnum):
    """A string enum that pydantic validates and documents like a `Literal` of its values.

    Its JSON schema is inline instead of a `$ref`, so forms and tables show the values next to the
    field's description and default.
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        values = core_schema.literal_schema([member.value for member in cls])
        return core_schema.no_info_after_validator_function(cls, values)


# Characters that cannot be stored or sent as text: control characters and halves of pairs
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean_text(text: str, max_length: int) -> str:
    """Return a text that contains parts of untrusted files in a form that can be stored and sent.

    Control characters and lone surrogates are written as escape sequences, and the text is
    shortened to `max_length` characters.
    """
    shortened = text if len(text) <= max_length else text[: max_length - 2] + " …"
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], shortened)


def import_target(target: str) -> Any:
    """Import and return the object that a ``module:name`` string refers to."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def compute_sha256(path: Path) -> str:
    """Return a file's SHA-256 in lowercase hexadecimal. The file is read in blocks."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
