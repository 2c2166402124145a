"""The command as somebody types it."""

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from dlkd_client.command import app


def dlkd(*words: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin, terminal_width=200)


def answer(*words: str | Path, stdin: str | None = None) -> Any:
    """What a command prints for programs; it must end with 0."""
    result = dlkd(*words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
