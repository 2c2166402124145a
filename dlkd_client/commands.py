"""Commands about jobs: submitted, watched, listed, shown."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dlkd_client import answers, complete, wish
from dlkd_client.client import Client, Job
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url, service
from dlkd_client.progress import Bars, words
from dlkd_client.terminal import fail, out, say, show_json

if TYPE_CHECKING:
    from dlkd_client.curves import Curves

app = typer.Typer()
_PREFIXES = ("job_", "model_", "teacher_", "dataset_")
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change the spec: training.epochs=3; again for more")]
WithCurves = Annotated[bool, typer.Option("--curves", help="Draw accuracy and loss, too")]


@app.command()
def submit(
    spec: Annotated[Path, typer.Argument(help="YAML or JSON, the body of POST /v1/jobs; - for standard input")],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    changes: Changes = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would become of it, as JSON")] = False,
    follow: Annotated[bool, typer.Option("--watch", help="Stay until it has ended")] = False,
    curves: WithCurves = False,
    as_json: AsJson = False,
) -> None:
    """Submits a job and prints its id."""
    asked = wish.read(spec, changes)
    with service(url, key, data) as client:
        if plan:
            found = client.plan(asked)
            show_json(found)
            raise typer.Exit(0 if found["valid"] else 1)
        job = client.submit(asked)
        if not (as_json and follow):
            show(job, job.id, as_json=as_json)
        if follow:
            _watch(client, job.id, curves=curves, as_json=as_json)


@app.command()
def watch(
    job: Annotated[str, typer.Argument(help="job_...", autocompletion=complete.jobs)],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    curves: WithCurves = False,
    as_json: AsJson = False,
) -> None:
    """Follows a job to its end; the status is 0 where it succeeded. Ctrl-C leaves it alone."""
    with service(url, key, data) as client:
        _watch(client, job, curves=curves, as_json=as_json)


@app.command("list")
def list_jobs(
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    status: Annotated[list[str] | None, typer.Option(help="Only those in one of these states")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only those with key:value, all of several")] = None,
    limit: Annotated[int, typer.Option(help="At most so many", min=1)] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first."""
    with service(url, key, data) as client:
        jobs = [job for job, _ in zip(client.jobs(status=status, label=label), range(limit), strict=False)]
    if as_json:
        show_json(jobs)
        return
    table = Table("job", "name", "status", "", "model", box=None)
    for job in jobs:
        table.add_row(job.id, job.name, job.status, words(job), job.model_id or "")
    out.print(table)


@app.command("show")
def show_thing(
    thing: Annotated[
        str, typer.Argument(help="job_..., model_..., name@alias, teacher_... or dataset_...", autocompletion=complete.things)
    ],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    as_json: AsJson = False,  # noqa: ARG001 - it always is: nothing else shows everything
) -> None:
    """Prints everything about one thing, as JSON."""
    with service(url, key, data) as client:
        getters = dict(zip(_PREFIXES, (client.job, client.model, client.teacher, client.dataset), strict=True))
        getter = (
            client.model if "@" in thing else next((get for prefix, get in getters.items() if thing.startswith(prefix)), None)
        )
        if getter is None:
            fail(f"{thing!r} is no id: they begin with {', '.join(_PREFIXES)}.")
        show_json(getter(thing))


def _watch(client: Client, job_id: str, *, curves: bool, as_json: bool) -> None:
    job = _followed(client, job_id, curves=curves)
    if as_json:
        show_json(job)
    if job.status != "succeeded":
        fail(f"{job_id} {job.status}" + (f": {job.error}" if job.error else ""))
    say(f"{job_id} made {job.model_id}")


def _followed(client: Client, job_id: str, *, curves: bool) -> Job:
    if not curves:
        return client.wait(job_id, progress=True)
    from dlkd_client.curves import Curves

    drawn = Curves(client.metrics)
    with Bars(under=drawn) as bars:
        job = client.wait(job_id, on_progress=_both(bars, drawn, job_id))
    if not bars.live:
        bars.console.print(drawn)
    return job


def _both(bars: Bars, drawn: "Curves", job_id: str) -> Callable[[answers.Job], None]:
    line = bars.line(job_id)

    def look(job: answers.Job) -> None:
        drawn.look(job)
        line.show(job)

    return look


def show(answer: answers.Answer, plain: str, *, as_json: bool) -> None:
    """An answer as JSON, or the one word of it that matters most."""
    if as_json:
        show_json(answer)
    else:
        typer.echo(plain)
