"""Generates docs/command.md, the reference of the `dlkd` command. Run by `make sync`."""

from pathlib import Path

import click
from typer.cli import get_docs_for_click
from typer.main import get_command

from dlkd_client.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "command.md"
PREFACE = """# Command line

`dlkd` talks to a service, runs one, or distills without a service. `--help` explains each command.
`dlkd --install-completion` lets the shell complete commands, names from the catalog, and the ids of
the service's jobs and models.

## Choosing the service

The first of these that is set applies:

1. The options `--url` and `--api-key`.
2. The environment variables `DLKD_URL` and `DLKD_API_KEY`.
3. The service that `dlkd up` runs on the data folder (`--data`, by default `./data`).
4. The service to which you logged in with `dlkd login`. The address and key are stored in your
   config folder (on Linux `~/.config/dlkd/login.json`, or under `XDG_CONFIG_HOME`). Only you can
   read the file.

## Output and exit status

With `--json`, a command prints its result as JSON on standard output. Progress and errors go to
standard error.

| status | meaning |
|---|---|
| 0 | success; for `watch`, the job succeeded; for `doctor`, no check failed |
| 1 | refused or failed; standard error shows the reason and the service's error code |
| 2 | invalid usage of the command |
| 130 | interrupted by Ctrl-C; a watched job keeps running, and `distill` leaves a checkpoint |

## Specs

Specs are YAML or JSON files, or `-` for standard input. `--set training.epochs=3` overrides a
field.

"""


def render_page() -> str:
    """Return the page as Markdown."""
    command = get_command(app)
    context = click.Context(command, info_name="dlkd")
    docs = get_docs_for_click(obj=command, ctx=context, name="dlkd", title="Reference")
    return PREFACE + docs.replace("# Reference", "## Reference", 1).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render_page())
