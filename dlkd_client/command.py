"""The `dlkd` command. Each command is one call; what is heavy is imported where it is used, so that `--help` is instant."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client import commands, running
from dlkd_client.terminal import fail, out

app = typer.Typer(no_args_is_help=True, help="Knowledge distillation as a service.", pretty_exceptions_enable=False)
app.add_typer(commands.app)
app.add_typer(running.app)
app.add_typer(commands.teacher, name="teacher", help="Checkpoints to learn from.")
app.add_typer(commands.dataset, name="dataset", help="Images to learn on.")
app.add_typer(running.db, name="db", help="The service's database.")
app.add_typer(running.key, name="key", help="The service's keys.")


@app.command()
def catalog(
    *, as_json: Annotated[bool, typer.Option("--json", help="Everything, with the schemas of the parameters")] = False
) -> None:
    """Methods, architectures and exporters by name."""
    from dlkd_core.catalog import describe

    menu = describe()
    if as_json:
        typer.echo(json.dumps(menu, indent=2))
        return
    for kind, entries in menu.items():
        out.print(f"[bold]{kind}[/]: " + ", ".join(entry["name"] for entry in entries), soft_wrap=True)


@app.command()
def distill(
    spec: Annotated[Path, typer.Argument(help="JSON with teacher.path, dataset.path, student, method, training, export")],
    folder: Annotated[Path, typer.Argument(help="Where the student's files, checkpoints and report.json go")],
    *,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint where there is one")] = False,
) -> None:
    """Runs a spec here, without the service."""
    try:
        from dlkd_core.__main__ import main
    except ModuleNotFoundError as error:
        fail(f"{error}: install dlkd[core] to run without the service")
    raise typer.Exit(main([str(spec), str(folder), *(["--resume"] if resume else [])]))


if __name__ == "__main__":
    sys.exit(app())
