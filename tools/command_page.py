"""`make sync`: writes docs/command.md, every command of `dlkd` with its arguments and options, from the command itself."""

from pathlib import Path

import click
from typer.cli import get_docs_for_click
from typer.main import get_command

from dlkd_client.command import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "command.md"
PREFACE = """# The command

`dlkd` speaks to a service, runs one, or distils without any. `--help` explains each command; `dlkd --install-completion` teaches
the shell the commands, the catalog's names, and the ids of the service's jobs and models.

**Which service.** `--url` and `--api-key`; else `DLKD_URL` and `DLKD_API_KEY`; else the one that `dlkd up` runs on the data
folder (`--data`, `./data`); else the one of `dlkd login`, whose address and key are kept in the user's config folder (on Linux
`~/.config/dlkd/login.json`, or under `XDG_CONFIG_HOME`) and readable by that user alone.

**For programs.** With `--json` a command prints its answer as JSON on standard output; progress and errors go to standard error.

| status | meaning |
|---|---|
| 0 | done; of `watch`: the job succeeded; of `doctor`: nothing fails |
| 1 | refused or failed: standard error says why, with the service's stable code where it has one |
| 2 | the command was typed wrong |
| 130 | stopped by Ctrl-C; a job that was watched goes on, a `distill` run left a checkpoint |

**Specs** are YAML or JSON (`-`: standard input), and `--set training.epochs=3` changes them on the way.

"""


def text() -> str:
    """The page."""
    command = get_command(app)
    docs = get_docs_for_click(obj=command, ctx=click.Context(command, info_name="dlkd"), name="dlkd", title="Reference")
    return PREFACE + docs.replace("# Reference", "## Reference", 1).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
