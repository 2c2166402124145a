"""Commands to cancel, pause, resume, retry, clone and inspect a job."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dlkd_client.cli import completion, spec_file
from dlkd_client.cli.connection_settings import (
    DEFAULT_DATA_DIR,
    DataOption,
    JsonOption,
    KeyOption,
    UrlOption,
    connect,
)
from dlkd_client.cli.jobs import SpecOverrides
from dlkd_client.cli.terminal import console, print_json, print_response
from dlkd_client.client import Job

app = typer.Typer()
JobId = Annotated[
    str,
    typer.Argument(help="ID of the job, such as job_...", autocompletion=completion.complete_jobs),
]


@app.command()
def cancel(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Stop at once, without saving a checkpoint.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel a job."""
    with connect(url, key, data) as client:
        _print_status(client.cancel(job, force=force), as_json=as_json)


@app.command()
def pause(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Pause a job.

    A running job first saves a checkpoint.
    """
    with connect(url, key, data) as client:
        _print_status(client.pause(job), as_json=as_json)


@app.command()
def resume(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Resume a paused job from its checkpoint."""
    with connect(url, key, data) as client:
        _print_status(client.resume(job), as_json=as_json)


@app.command()
def retry(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    from_start: Annotated[
        bool,
        typer.Option(
            "--from-start", help="Start over instead of resuming from the last checkpoint."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Retry a failed, cancelled or expired job.

    The job resumes from its last checkpoint, unless --from-start is set.
    """
    with connect(url, key, data) as client:
        _print_status(client.retry(job, from_start=from_start), as_json=as_json)


@app.command()
def clone(
    job: JobId,
    changes: Annotated[
        Path | None,
        typer.Argument(
            help="JSON merge patch for the job's request, as a YAML or JSON file, "
            "or - for standard input."
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    overrides: SpecOverrides = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Submit a copy of a job, with changes.

    Prints the id of the new job.
    """
    patch = spec_file.apply_overrides(spec_file.read_spec(changes) if changes else {}, overrides)
    with connect(url, key, data) as client:
        copy = client.clone(job, patch)
        print_response(copy, copy.id, as_json=as_json)


@app.command()
def logs(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    tail: Annotated[
        int | None, typer.Option(help="Print only this many lines, from the end of the log.", min=1)
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option(help="Print only the lines of the attempt with this number.", min=1),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each line as a JSON string.")
    ] = False,
) -> None:
    """Print the log of a job's trainers."""
    with connect(url, key, data) as client:
        for line in client.logs(job, tail=tail, attempt=attempt):
            typer.echo(json.dumps(line) if as_json else line)


@app.command()
def attempts(
    job: JobId,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the attempts of a job, oldest first."""
    with connect(url, key, data) as client:
        rows = client.attempts(job)
    if as_json:
        print_json(rows)
        return
    table = Table("attempt", "status", "from step", "saved step", "worker", "error", box=None)
    for row in rows:
        steps = (
            "" if row[name] is None else str(row[name]) for name in ("resumed_step", "saved_step")
        )
        error_code = (row["error"] or {}).get("code", "")
        table.add_row(str(row["number"]), row["status"], *steps, row["worker_id"], error_code)
    console.print(table)


def _print_status(job: Job, *, as_json: bool) -> None:
    print_response(job, job.status, as_json=as_json)
