"""The terminal: answers on standard output, everything else on standard error."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

out = Console()
err = Console(stderr=True)


def say(text: str) -> None:
    """A line for the person who watches."""
    err.print(text, highlight=False, markup=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """Says what went wrong and ends the command with status 1."""
    err.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


def show_json(answer: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[dict[str, Any]]) -> None:
    """An answer for programs."""
    typer.echo(json.dumps(answer, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
