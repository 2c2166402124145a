"""The terminal: answers on standard output, everything else on standard error."""

from typing import NoReturn

import typer
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
