"""Commands about teachers and data sets: sent, listed, deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dlkd_client import complete, wish
from dlkd_client.answers import Dataset, Teacher
from dlkd_client.client import Client
from dlkd_client.commands import show
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url, service
from dlkd_client.progress import Bars
from dlkd_client.terminal import out, show_json

teacher = typer.Typer(no_args_is_help=True)
dataset = typer.Typer(no_args_is_help=True)
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it was checked")]
Force = Annotated[bool, typer.Option("--force", help="Also where the lineage of a model names it")]
Named = Annotated[str | None, typer.Option(help="For people [default: the file's name]")]


@teacher.command("add")
def add_teacher(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A state dict (.th, .pth, .pt), safetensors or ONNX")],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    name: Named = None,
    architecture: Annotated[str | None, typer.Option(help="Left out: recognised", autocompletion=complete.architectures)] = None,
    num_classes: Annotated[int | None, typer.Option(help="Left out: recognised", min=1)] = None,
    normalization: Annotated[str | None, typer.Option(help='JSON {"mean": [...], "std": [...]}; left out: found out')] = None,
    *,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Uploads a checkpoint and prints its id. A large one that broke off goes on when it is sent again."""
    parsed = wish.parse(normalization, "--normalization") if normalization else None
    with service(url, key, data) as client, Bars() as bars:
        sent = client.upload_teacher(
            file,
            name=name,
            architecture=architecture,
            num_classes=num_classes,
            normalization=parsed,
            on_bytes=bars.line(file.name).bytes,
        )
        _show(client, sent, no_wait=no_wait, as_json=as_json)


@teacher.command("list")
def list_teachers(url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Teachers, newest first."""
    with service(url, key, data) as client:
        _list(client.teachers(), as_json=as_json)


@teacher.command("rm")
def remove_teacher(
    teacher: Annotated[str, typer.Argument(help="teacher_...", autocompletion=complete.teachers)],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Deletes a teacher and its file."""
    with service(url, key, data) as client:
        client.delete_teacher(teacher, force=force)
    _gone(teacher, as_json=as_json)


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
    """Uploads images and prints the data set's id. A large one that broke off goes on when it is sent again."""
    with service(url, key, data) as client, Bars() as bars:
        sent = client.upload_dataset(file, name=name, on_bytes=bars.line(file.name).bytes)
        _show(client, sent, no_wait=no_wait, as_json=as_json)


@dataset.command("list")
def list_datasets(url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Data sets, newest first."""
    with service(url, key, data) as client:
        _list(client.datasets(), as_json=as_json)


@dataset.command("rm")
def remove_dataset(
    dataset: Annotated[str, typer.Argument(help="dataset_...", autocompletion=complete.datasets)],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Deletes a data set and its files."""
    with service(url, key, data) as client:
        client.delete_dataset(dataset, force=force)
    _gone(dataset, as_json=as_json)


def _gone(upload_id: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": upload_id, "deleted": True})


def _show(client: Client, upload: Teacher | Dataset, *, no_wait: bool, as_json: bool) -> None:
    if not no_wait:
        upload = client.ready(upload)
    show(upload, upload.id, as_json=as_json)


def _list(uploads: Iterator[Teacher] | Iterator[Dataset], *, as_json: bool) -> None:
    found: list[Teacher | Dataset] = list(uploads)
    if as_json:
        show_json(found)
        return
    table = Table("id", "name", "status", "bytes", "", box=None)
    for one in found:
        table.add_row(one.id, one.name, one.status, f"{one.size or 0:,}", str(one.error or _facts(one)))
    out.print(table)


def _facts(one: Teacher | Dataset) -> str:
    return one.architecture or "" if isinstance(one, Teacher) else f"{len(one.classes or [])} classes"
