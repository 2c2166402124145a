"""Base classes and helpers for the whole package. This module is torch-free."""

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


def import_target(target: str) -> Any:
    """Import and return the object that a ``module:name`` string refers to."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def compute_sha256(path: Path) -> str:
    """Return a file's SHA-256 in lowercase hexadecimal. The file is read in blocks."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
