"""Base classes and field types shared by all wire formats."""

from collections.abc import Collection
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

LIMIT_DESCRIPTION = "Maximum number of items to return. Values above 200 are treated as 200."
CURSOR_DESCRIPTION = "`next_cursor` of the previous page. Omit it to get the first page."

Item = TypeVar("Item")


class ResponseModel(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True, protected_namespaces=())


class Page(ResponseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(
        description="Value of the `cursor` parameter that returns the next page. Null on the "
        "last page."
    )


class ErrorOut(ResponseModel):
    """The reason why a job failed or an upload was rejected.

    Job and attempt errors also have `retryable` and `class`. The class is `user`,
    `infrastructure` or `preemption`. Errors of class `user` are not retried. Job errors also have
    the number of the failed `attempt` and the last lines of its `log`.
    """

    model_config = ConfigDict(extra="allow")

    code: str = Field(
        description="Machine-readable error code. It does not change between releases."
    )
    message: str
    hint: str = Field("", description="How to resolve the error.")


def enum_items_schema(choices: Collection[str]) -> JsonDict:
    """Return the JSON schema that lists the allowed items of an array field.

    The field's validator rejects unknown items with a clearer message than an enum type would.
    """
    return {"items": {"type": "string", "enum": [*sorted(choices)]}}


def check_choices(values: list[str], choices: set[str], kind: str) -> list[str]:
    """Return the values sorted and without duplicates.

    Raises:
        ValueError: A value is not among the choices.
    """
    unknown = sorted(set(values) - choices)
    if unknown:
        raise ValueError(
            f"unknown {kind} {', '.join(unknown)}; choose from {', '.join(sorted(choices))}"
        )
    return sorted(set(values))
