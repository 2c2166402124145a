"""The `dlkd` command.

Heavy modules are imported only where they are used, so that `--help` responds at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dlkd_client.cli import (
    admin,
    auth,
    doctor,
    job_control,
    jobs,
    models,
    serve,
    spec_file,
    uploads,
)
from dlkd_client.cli.connection_settings import JsonOption
from dlkd_client.cli.terminal import console, exit_with_error, print_json

app = typer.Typer(
    no_args_is_help=True,
    help="Knowledge distillation as a service.",
    pretty_exceptions_enable=False,
)
app.add_typer(jobs.app)
app.add_typer(job_control.app)
app.add_typer(models.app)
app.add_typer(auth.app)
app.add_typer(serve.app)
app.add_typer(doctor.app)
app.add_typer(
    uploads.teacher_app, name="teacher", help="Upload, list and delete teacher checkpoints."
)
app.add_typer(
    uploads.dataset_app, name="dataset", help="Upload, list, examine and delete datasets."
)
app.add_typer(serve.db_app, name="db", help="Manage the database of the service.")
app.add_typer(
    admin.app,
    name="admin",
    help="Check, clean up or copy the store.",
)
app.add_typer(serve.key_app, name="key", help="Manage the API keys of the service.")


@app.command()
def catalog(
    *,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the whole catalog as JSON, with the schemas of all parameters."
        ),
    ] = False,
) -> None:
    """List everything in the catalog.

    The catalog has methods, architectures, exporters and dataset formats.
    """
    from dlkd_core.catalog import describe_catalog

    description = describe_catalog()
    if as_json:
        print_json(description)
        return
    timm = description.pop("timm")
    for kind, entries in description.items():
        console.print(
            f"[bold]{kind}[/]: " + ", ".join(entry["name"] for entry in entries), soft_wrap=True
        )
    console.print(
        f"[bold]timm[/]: {len(timm['rows'])} more architectures, such as timm/resnet26 "
        "(listed by --json)",
        soft_wrap=True,
    )


@app.command()
def distill(
    spec: Annotated[
        Path,
        typer.Argument(
            help="Spec as YAML or JSON, with teacher.path, dataset.path, student, method, "
            "training, ..."
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            help="Output folder for the student's files, checkpoints, spec.json and report.json."
        ),
    ],
    overrides: jobs.SpecOverrides = None,
    *,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume from the checkpoint in the output folder, if any."),
    ] = False,
    memory: Annotated[
        int | None,
        typer.Option(
            help="Memory for images, in MiB. A larger dataset stays on disk. "
            "[default: half of the free memory]"
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for cached images. [default: `data` in the output folder]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a spec on this machine, without the service."""
    try:
        from dlkd_core.__main__ import main
    except ModuleNotFoundError as error:
        exit_with_error(f"{error}. Install dlkd[core] to run without the service.")
    saved_spec = spec_file.write_spec(spec_file.read_spec(spec, overrides), folder / "spec.json")
    arguments = [str(saved_spec), str(folder)]
    if resume:
        arguments.append("--resume")
    for option, value in {"--memory": memory, "--cache": cache}.items():
        if value is not None:
            arguments += [option, str(value)]
    status = main(arguments)
    if as_json and status == 0:
        typer.echo((folder / "report.json").read_text(), nl=False)
    raise typer.Exit(status)


if __name__ == "__main__":
    sys.exit(app())
