"""Terminal output: results on standard output, everything else on standard error."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

from dlkd_client.responses import Model
from dlkd_core.reporting.gain import describe_gain

console = Console()
error_console = Console(stderr=True)


def print_message(text: str) -> None:
    """Print a message on standard error."""
    error_console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_gain(model: Model) -> None:
    """Print a model's gain over labels alone and its warnings on standard error."""
    if baseline := model.metrics.get("baseline"):
        print_message(describe_gain(baseline))
    for warning in model.warnings:
        error_console.print(
            f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True
        )


def exit_with_error(text: str) -> NoReturn:
    """Print an error and end the command with status 1."""
    error_console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


def print_json(
    value: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[dict[str, Any]],
) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=2, default=_to_jsonable))


def print_response(response: BaseModel, text: str, *, as_json: bool) -> None:
    """Print the response as JSON if `as_json` is true. Otherwise, print the text."""
    if as_json:
        print_json(response)
    else:
        typer.echo(text)


def _to_jsonable(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
