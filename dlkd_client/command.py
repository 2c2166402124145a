"""The `dlkd` command. Each command is one call; what is heavy is imported where it is used, so that `--help` is instant."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client import commands, controls, running, shelf
from dlkd_client.terminal import fail, out

app = typer.Typer(no_args_is_help=True, help="Knowledge distillation as a service.", pretty_exceptions_enable=False)
app.add_typer(commands.app)
app.add_typer(controls.app)
app.add_typer(shelf.app)
app.add_typer(running.app)
app.add_typer(commands.teacher, name="teacher", help="Checkpoints to learn from.")
app.add_typer(commands.dataset, name="dataset", help="Images to learn on.")
app.add_typer(running.db, name="db", help="The service's database.")
app.add_typer(running.admin, name="admin", help="The service's own affairs.")
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
    timm = menu.pop("timm")
    for kind, entries in menu.items():
        out.print(f"[bold]{kind}[/]: " + ", ".join(entry["name"] for entry in entries), soft_wrap=True)
    out.print(f"[bold]timm[/]: {len(timm['rows'])} more architectures, such as timm/resnet26: --json lists them", soft_wrap=True)


@app.command()
def distill(
    spec: Annotated[Path, typer.Argument(help="JSON with teacher.path, dataset.path, student, method, training, export")],
    folder: Annotated[Path, typer.Argument(help="Where the student's files, checkpoints and report.json go")],
    *,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint where there is one")] = False,
    memory: Annotated[int | None, typer.Option(help="MiB for images, of which more stay on disk; half of the free")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where those are kept for the next run; the folder's data")] = None,
) -> None:
    """Runs a spec here, without the service."""
    try:
        from dlkd_core.__main__ import main
    except ModuleNotFoundError as error:
        fail(f"{error}: install dlkd[core] to run without the service")
    asked = {"--memory": memory, "--cache": cache}
    options = [text for name, value in asked.items() if value is not None for text in (name, str(value))]
    raise typer.Exit(main([str(spec), str(folder), *(["--resume"] if resume else []), *options]))


if __name__ == "__main__":
    sys.exit(app())
