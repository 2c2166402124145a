"""Commands to submit, watch, list and show jobs."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dlkd_client import responses
from dlkd_client.cli import completion, spec_file
from dlkd_client.cli.connection_settings import (
    DEFAULT_DATA_DIR,
    DataOption,
    JsonOption,
    KeyOption,
    UrlOption,
    connect,
)
from dlkd_client.cli.terminal import (
    console,
    exit_with_error,
    print_gain,
    print_json,
    print_message,
    print_response,
)
from dlkd_client.client import Client, Job
from dlkd_client.progress import ProgressBars, describe_job

app = typer.Typer()
SpecOverrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override a field of the spec, such as training.epochs=3. Repeatable."
    ),
]
ShowCurves = Annotated[bool, typer.Option("--curves", help="Also draw accuracy and loss curves.")]


@app.command()
def submit(
    spec: Annotated[
        Path,
        typer.Argument(
            help="Job spec as YAML or JSON (the body of POST /v1/jobs), or - for standard input."
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    overrides: SpecOverrides = None,
    *,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Validate the job without submitting it and print the plan as JSON."
        ),
    ] = False,
    follow: Annotated[bool, typer.Option("--watch", help="Wait until the job has ended.")] = False,
    curves: ShowCurves = False,
    as_json: JsonOption = False,
) -> None:
    """Submit a job and print its id."""
    request = spec_file.read_spec(spec, overrides)
    with connect(url, key, data) as client:
        if plan:
            job_plan = client.plan(request)
            print_json(job_plan)
            raise typer.Exit(0 if job_plan["valid"] else 1)
        job = client.submit(request)
        if not (as_json and follow):
            print_response(job, job.id, as_json=as_json)
        if follow:
            _watch_job(client, job.id, curves=curves, as_json=as_json)


@app.command()
def watch(
    job: Annotated[
        str,
        typer.Argument(
            help="ID of the job, such as job_...", autocompletion=completion.complete_jobs
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    curves: ShowCurves = False,
    as_json: JsonOption = False,
) -> None:
    """Follow a job until it has ended.

    The exit status is 0 if the job succeeded. Ctrl-C does not stop the job.
    """
    with connect(url, key, data) as client:
        _watch_job(client, job, curves=curves, as_json=as_json)


@app.command("list")
def list_jobs(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only jobs with this status. Repeat the option to allow several."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Only jobs with this label, as key:value. Repeat the option to require several."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1)] = 20,
    *,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with connect(url, key, data) as client:
        jobs = list(islice(client.jobs(status=status, label=label), limit))
    if as_json:
        print_json(jobs)
        return
    table = Table("job", "name", "status", "", "model", box=None)
    for job in jobs:
        table.add_row(job.id, job.name, job.status, describe_job(job), job.model_id or "")
    console.print(table)


@app.command("show")
def show_resource(
    resource_id: Annotated[
        str,
        typer.Argument(
            help="ID such as job_..., model_..., teacher_... or dataset_..., "
            "or name@alias of a model.",
            autocompletion=completion.complete_jobs_and_models,
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,  # noqa: ARG001 - the output is always JSON
) -> None:
    """Print a resource as JSON.

    The resource can be a job, model, teacher or dataset.
    """
    with connect(url, key, data) as client:
        getters: dict[str, Callable[[str], responses.ResponseModel]] = {
            "job_": client.job,
            "model_": client.model,
            "teacher_": client.teacher,
            "dataset_": client.dataset,
        }
        if "@" in resource_id:
            print_json(client.model(resource_id))
            return
        for prefix, get in getters.items():
            if resource_id.startswith(prefix):
                print_json(get(resource_id))
                return
        exit_with_error(f"{resource_id!r} is not an id. Ids start with {', '.join(getters)}.")


def _watch_job(client: Client, job_id: str, *, curves: bool, as_json: bool) -> None:
    job = _wait_for_job(client, job_id, curves=curves)
    if as_json:
        print_json(job)
    if job.status != "succeeded":
        exit_with_error(f"{job_id} {job.status}" + (f": {job.error}" if job.error else ""))
    print_message(f"{job_id} produced {job.model_id}")
    if job.model_id:
        print_gain(client.model(job.model_id))


def _wait_for_job(client: Client, job_id: str, *, curves: bool) -> Job:
    if not curves:
        return client.wait(job_id, progress=True)
    from dlkd_client.cli.curves import Curves

    metric_curves = Curves(client.metrics)
    with ProgressBars(footer=metric_curves) as bars:
        line = bars.add_line(job_id)

        def show(current: responses.Job) -> None:
            metric_curves.update(current)
            line.show_job(current)

        job = client.wait(job_id, on_progress=show)
    if not bars.live:
        bars.console.print(metric_curves)
    return job
