"""Commands that speak to a service."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dlkd_client.answers import Answer, Dataset, Teacher
from dlkd_client.client import Client
from dlkd_client.connect import DEFAULT_DATA, Data, Key, Url, service
from dlkd_client.progress import Bars, words
from dlkd_client.terminal import err, fail, out, say

app = typer.Typer()
teacher = typer.Typer(no_args_is_help=True)
dataset = typer.Typer(no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it was checked")]
Named = Annotated[str | None, typer.Option(help="For people [default: the file's name]")]


@app.command()
def submit(
    spec: Annotated[Path, typer.Argument(help="JSON, the body of POST /v1/jobs; - for standard input")],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    follow: Annotated[bool, typer.Option("--watch", help="Stay until it has ended")] = False,
    as_json: AsJson = False,
) -> None:
    """Submits a job and prints its id."""
    wish = read(spec)
    with service(url, key, data) as client:
        job = client.submit(wish)
        _show(job, job.id, as_json=as_json)
        if follow:
            _watch(client, job.id)


@app.command()
def watch(
    job: Annotated[str, typer.Argument(help="job_...")], url: Url = None, key: Key = None, data: Data = DEFAULT_DATA
) -> None:
    """Follows a job to its end; the status is 0 where it succeeded."""
    with service(url, key, data) as client:
        _watch(client, job)


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
        typer.echo(json.dumps([job.model_dump(mode="json") for job in jobs], indent=2))
        return
    table = Table("job", "name", "status", "", "model", box=None)
    for job in jobs:
        table.add_row(job.id, job.name, job.status, words(job), job.model_id or "")
    out.print(table)


@app.command()
def show(
    thing: Annotated[str, typer.Argument(help="job_..., model_..., name@alias, teacher_... or dataset_...")],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Prints everything about one thing, as JSON."""
    with service(url, key, data) as client:
        getters = {"job": client.job, "model": client.model, "teacher": client.teacher, "dataset": client.dataset}
        getter = client.model if "@" in thing else getters.get(thing.partition("_")[0])
        if getter is None:
            fail(f"{thing!r} is no id: they begin with {', '.join(f'{prefix}_' for prefix in getters)}.")
        typer.echo(getter(thing).model_dump_json(indent=2))


@app.command()
def download(
    model: Annotated[str, typer.Argument(help="model_... or name@alias")],
    names: Annotated[list[str] | None, typer.Argument(help="Files [default: all]")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    to: Annotated[Path, typer.Option(help="Folder to write to")] = Path(),
) -> None:
    """Downloads a model's files, checks their sha256 and prints where they lie."""
    with service(url, key, data) as client:
        found = client.model(model)
        to.mkdir(parents=True, exist_ok=True)
        for name in names or [file.name for file in found.files]:
            typer.echo(client.download(found, name, to))


@teacher.command("add")
def add_teacher(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A state dict (.th, .pth, .pt), safetensors or ONNX")],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    name: Named = None,
    architecture: Annotated[str | None, typer.Option(help="Left out: recognised")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Left out: recognised", min=1)] = None,
    normalization: Annotated[str | None, typer.Option(help='JSON {"mean": [...], "std": [...]}; left out: found out')] = None,
    *,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Uploads a checkpoint and prints its id."""
    said = {"name": name, "architecture": architecture, "num_classes": num_classes}
    parsed = parse(normalization, "--normalization") if normalization else None
    with service(url, key, data) as client:
        sent = client.upload_teacher(file, **said, normalization=parsed)  # type: ignore[arg-type]  # each fits by its name
        _show_upload(client, sent, no_wait=no_wait, as_json=as_json)


@dataset.command("add")
def add_dataset(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="zip, tar or tar.gz of train/<class>/... and val/<class>/...")
    ],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    name: Named = None,
    *,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Uploads images and prints the data set's id."""
    with service(url, key, data) as client:
        _show_upload(client, client.upload_dataset(file, name=name), no_wait=no_wait, as_json=as_json)


def _watch(client: Client, job_id: str) -> None:
    with Bars() as bars:
        job = client.wait(job_id, on_progress=bars.line(job_id).show)
    if job.status != "succeeded":
        fail(f"{job_id} {job.status}" + (f": {job.error}" if job.error else ""))
    say(f"{job_id} made {job.model_id}")


def _show_upload(client: Client, upload: Teacher | Dataset, *, no_wait: bool, as_json: bool) -> None:
    if not no_wait:
        with err.status("the service looks into it"):
            upload = client.ready(upload)
    _show(upload, upload.id, as_json=as_json)


def _show(answer: Answer, plain: str, *, as_json: bool) -> None:
    typer.echo(answer.model_dump_json(indent=2) if as_json else plain)


def read(spec: Path) -> dict[str, Any]:
    """The JSON object in a file, or in standard input."""
    if str(spec) == "-":
        return parse(sys.stdin.read(), "standard input")
    if not spec.is_file():
        fail(f"There is no file {spec}.")
    return parse(spec.read_text(), str(spec))


def parse(text: str, where: str) -> dict[str, Any]:
    """The JSON object in a text that came from somewhere."""
    try:
        value = json.loads(text)
    except ValueError as error:
        fail(f"{where} is not JSON: {error}")
    if not isinstance(value, dict):
        fail(f"{where} holds no JSON object.")
    return value
