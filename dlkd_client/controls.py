"""Commands about one job: stopped, held, taken up again, made once more, looked into."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dlkd_client import complete, wish
from dlkd_client.client import Job
from dlkd_client.commands import Changes, show
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url, service
from dlkd_client.terminal import out, show_json

app = typer.Typer()
JobId = Annotated[str, typer.Argument(help="job_...", autocompletion=complete.jobs)]


@app.command()
def cancel(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    force: Annotated[bool, typer.Option("--force", help="At once, without time to save a checkpoint")] = False,
    as_json: AsJson = False,
) -> None:
    """Asks a job to stop."""
    with service(url, key, data) as client:
        _status(client.cancel(job, force=force), as_json=as_json)


@app.command()
def pause(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Asks a job to wait; it saves a checkpoint first."""
    with service(url, key, data) as client:
        _status(client.pause(job), as_json=as_json)


@app.command()
def resume(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Lets a paused job go on."""
    with service(url, key, data) as client:
        _status(client.resume(job), as_json=as_json)


@app.command()
def retry(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget its checkpoint")] = False,
    as_json: AsJson = False,
) -> None:
    """Tries a job again that failed, was cancelled or expired, from its last checkpoint."""
    with service(url, key, data) as client:
        _status(client.retry(job, from_start=from_start), as_json=as_json)


@app.command()
def clone(
    job: JobId,
    changes: Annotated[Path | None, typer.Argument(help="YAML or JSON merge patch of its request; - for standard input")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    more: Changes = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Submits another job like this one, with changes, and prints its id."""
    patch = wish.changed(wish.read(changes) if changes else {}, more)
    with service(url, key, data) as client:
        made = client.clone(job, patch)
        show(made, made.id, as_json=as_json)


@app.command()
def logs(
    job: JobId,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    tail: Annotated[int | None, typer.Option(help="Only the last so many lines", min=1)] = None,
    attempt: Annotated[int | None, typer.Option(help="Only of this attempt", min=1)] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a JSON string")] = False,
) -> None:
    """Prints what the trainers of a job wrote to their log."""
    with service(url, key, data) as client:
        for line in client.logs(job, tail=tail, attempt=attempt):
            typer.echo(json.dumps(line) if as_json else line)


@app.command()
def attempts(job: JobId, url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """A job's executions, oldest first."""
    with service(url, key, data) as client:
        found = client.attempts(job)
    if as_json:
        show_json(found)
        return
    table = Table("attempt", "status", "from step", "saved step", "worker", "error", box=None)
    for one in found:
        steps = ("" if one[name] is None else str(one[name]) for name in ("resumed_step", "saved_step"))
        table.add_row(str(one["number"]), one["status"], *steps, one["worker_id"], (one["error"] or {}).get("code", ""))
    out.print(table)


def _status(job: Job, *, as_json: bool) -> None:
    show(job, job.status, as_json=as_json)
