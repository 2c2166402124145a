"""Helpers that run the `dlkd` command within the test process."""

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from dlkd_client.cli.app import app


def run_dlkd(*arguments: str | Path, stdin: str | None = None) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, texts, input=stdin, terminal_width=200)


def run_dlkd_json(*arguments: str | Path, stdin: str | None = None) -> Any:
    """Run a command with `--json` and return its parsed output."""
    result = run_dlkd(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
