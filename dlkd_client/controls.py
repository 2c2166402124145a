"""Commands about one job: stopped, held, taken up again, made once more, looked into."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dlkd_client.commands import read
from dlkd_client.connect import DEFAULT_DATA, Data, Key, Url, service
from dlkd_client.terminal import out

app = typer.Typer()
JobId = Annotated[str, typer.Argument(help="job_...")]


@app.command()
def cancel(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    force: Annotated[bool, typer.Option("--force", help="At once, without time to save a checkpoint")] = False,
) -> None:
    """Asks a job to stop."""
    with service(url, key, data) as client:
        typer.echo(client.cancel(job, force=force).status)


@app.command()
def pause(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA) -> None:
    """Asks a job to wait; it saves a checkpoint first."""
    with service(url, key, data) as client:
        typer.echo(client.pause(job).status)


@app.command()
def resume(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA) -> None:
    """Lets a paused job go on."""
    with service(url, key, data) as client:
        typer.echo(client.resume(job).status)


@app.command()
def retry(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget its checkpoint")] = False,
) -> None:
    """Tries a job again that failed, was cancelled or expired, from its last checkpoint."""
    with service(url, key, data) as client:
        typer.echo(client.retry(job, from_start=from_start).status)


@app.command()
def clone(
    job: JobId,
    changes: Annotated[Path | None, typer.Argument(help="JSON merge patch of its request; - for standard input")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Submits another job like this one, with changes, and prints its id."""
    patch = read(changes) if changes else {}
    with service(url, key, data) as client:
        typer.echo(client.clone(job, patch).id)


@app.command()
def logs(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    tail: Annotated[int | None, typer.Option(help="Only the last so many lines", min=1)] = None,
    attempt: Annotated[int | None, typer.Option(help="Only of this attempt", min=1)] = None,
) -> None:
    """Prints what the trainers of a job wrote to their log."""
    with service(url, key, data) as client:
        for line in client.logs(job, tail=tail, attempt=attempt):
            typer.echo(line)


@app.command()
def attempts(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA) -> None:
    """A job's executions, oldest first."""
    with service(url, key, data) as client:
        found = client.attempts(job)
    table = Table("attempt", "status", "from step", "saved step", "worker", "error", box=None)
    for one in found:
        steps = ("" if one[name] is None else str(one[name]) for name in ("resumed_step", "saved_step"))
        table.add_row(str(one["number"]), one["status"], *steps, one["worker_id"], (one["error"] or {}).get("code", ""))
    out.print(table)
