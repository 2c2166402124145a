"""The `dlkd` command. Each command is one call; what is heavy is imported where it is used, so that `--help` is instant."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client import affairs, commands, controls, doctor, login, running, sending, shelf, wish
from dlkd_client.connect import AsJson
from dlkd_client.terminal import fail, out, show_json

app = typer.Typer(no_args_is_help=True, help="Knowledge distillation as a service.", pretty_exceptions_enable=False)
app.add_typer(commands.app)
app.add_typer(controls.app)
app.add_typer(shelf.app)
app.add_typer(login.app)
app.add_typer(running.app)
app.add_typer(doctor.app)
app.add_typer(sending.teacher, name="teacher", help="Checkpoints to learn from.")
app.add_typer(sending.dataset, name="dataset", help="Images to learn on.")
app.add_typer(running.db, name="db", help="The service's database.")
app.add_typer(affairs.admin, name="admin", help="The service's own affairs.")
app.add_typer(running.key, name="key", help="The service's keys.")


@app.command()
def catalog(
    *, as_json: Annotated[bool, typer.Option("--json", help="Everything, with the schemas of the parameters")] = False
) -> None:
    """Methods, architectures and exporters by name."""
    from dlkd_core.catalog import describe

    menu = describe()
    if as_json:
        show_json(menu)
        return
    timm = menu.pop("timm")
    for kind, entries in menu.items():
        out.print(f"[bold]{kind}[/]: " + ", ".join(entry["name"] for entry in entries), soft_wrap=True)
    out.print(f"[bold]timm[/]: {len(timm['rows'])} more architectures, such as timm/resnet26: --json lists them", soft_wrap=True)


@app.command()
def distill(
    spec: Annotated[Path, typer.Argument(help="YAML or JSON with teacher.path, dataset.path, student, method, training, export")],
    folder: Annotated[Path, typer.Argument(help="Where the student's files, checkpoints, spec.json and report.json go")],
    changes: commands.Changes = None,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint where there is one")] = False,
    memory: Annotated[int | None, typer.Option(help="MiB for images, of which more stay on disk; half of the free")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where those are kept for the next run; the folder's data")] = None,
    as_json: AsJson = False,
) -> None:
    """Runs a spec here, without the service."""
    try:
        from dlkd_core.__main__ import main
    except ModuleNotFoundError as error:
        fail(f"{error}: install dlkd[core] to run without the service")
    written = wish.write(wish.read(spec, changes), folder / "spec.json")
    asked = {"--memory": memory, "--cache": cache}
    options = [text for name, value in asked.items() if value is not None for text in (name, str(value))]
    status = main([str(written), str(folder), *(["--resume"] if resume else []), *options])
    if as_json and status == 0:
        typer.echo((folder / "report.json").read_text(), nl=False)
    raise typer.Exit(status)


if __name__ == "__main__":
    sys.exit(app())
