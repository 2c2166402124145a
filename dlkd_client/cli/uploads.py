"""Commands to upload, list and delete teachers and datasets."""

from collections.abc import Iterator
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
from dlkd_client.cli.dataset_report import print_dataset_report
from dlkd_client.cli.terminal import console, print_json, print_response
from dlkd_client.client import Client
from dlkd_client.progress import ProgressBars
from dlkd_client.responses import Dataset, Teacher

teacher_app = typer.Typer(no_args_is_help=True)
dataset_app = typer.Typer(no_args_is_help=True)
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait until the upload has been checked.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Delete even if the lineage of a model refers to it.")
]
NameOption = Annotated[str | None, typer.Option(help="Display name. [default: the file's name]")]


@teacher_app.command("add")
def add_teacher(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="Checkpoint file: a state dict (.th, .pth, .pt), safetensors or ONNX.",
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    name: NameOption = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Architecture of the teacher. [default: detected]",
            autocompletion=completion.complete_architectures,
        ),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="Number of classes. [default: detected]", min=1)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="ONNX: name of the output with the logits. [default: detected]"),
    ] = None,
    normalization: Annotated[
        str | None,
        typer.Option(
            help='Normalization as JSON: {"mean": [...], "std": [...]}. [default: detected]'
        ),
    ] = None,
    *,
    no_wait: NoWaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload a teacher checkpoint and print its id.

    Run the command again to resume an interrupted upload of a large file.
    """
    parsed = spec_file.parse_object(normalization, "--normalization") if normalization else None
    with connect(url, key, data) as client, ProgressBars() as bars:
        teacher = client.upload_teacher(
            file,
            name=name,
            architecture=architecture,
            num_classes=num_classes,
            output=output,
            normalization=parsed,
            on_bytes=bars.add_line(file.name).show_bytes,
        )
        _print_upload(client, teacher, no_wait=no_wait, as_json=as_json)


@teacher_app.command("list")
def list_teachers(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """List teachers, newest first."""
    with connect(url, key, data) as client:
        _print_uploads(client.teachers(), as_json=as_json)


@teacher_app.command("rm")
def delete_teacher(
    teacher: Annotated[
        str,
        typer.Argument(
            help="ID of the teacher, such as teacher_...",
            autocompletion=completion.complete_teachers,
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a teacher and its file."""
    with connect(url, key, data) as client:
        client.delete_teacher(teacher, force=force)
    _print_deleted(teacher, as_json=as_json)


@dataset_app.command("add")
def add_dataset(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="Zip, tar or tar.gz archive that contains train/<class>/... and val/<class>/..., "
            "or a file in another supported format.",
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    name: NameOption = None,
    *,
    no_wait: NoWaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload a dataset and print its id.

    Run the command again to resume an interrupted upload of a large file.
    """
    with connect(url, key, data) as client, ProgressBars() as bars:
        dataset = client.upload_dataset(
            file, name=name, on_bytes=bars.add_line(file.name).show_bytes
        )
        _print_upload(client, dataset, no_wait=no_wait, as_json=as_json)


@dataset_app.command("list")
def list_datasets(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """List datasets, newest first."""
    with connect(url, key, data) as client:
        _print_uploads(client.datasets(), as_json=as_json)


@dataset_app.command("report")
def show_report(
    dataset: Annotated[
        str,
        typer.Argument(
            help="ID of the dataset, such as dataset_...",
            autocompletion=completion.complete_datasets,
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the health of a dataset: balance, duplicates, suspicious images and labels."""
    with connect(url, key, data) as client:
        report = client.dataset_report(dataset)
        classes = client.dataset(dataset).classes or []
    if as_json:
        print_json(report)
    else:
        print_dataset_report(report, classes)


@dataset_app.command("rm")
def delete_dataset(
    dataset: Annotated[
        str,
        typer.Argument(
            help="ID of the dataset, such as dataset_...",
            autocompletion=completion.complete_datasets,
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a dataset and its files."""
    with connect(url, key, data) as client:
        client.delete_dataset(dataset, force=force)
    _print_deleted(dataset, as_json=as_json)


def _print_deleted(upload_id: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": upload_id, "deleted": True})


def _print_upload(
    client: Client, upload: Teacher | Dataset, *, no_wait: bool, as_json: bool
) -> None:
    if not no_wait:
        upload = client.wait_until_ready(upload)
    print_response(upload, upload.id, as_json=as_json)


def _print_uploads(uploads: Iterator[Teacher] | Iterator[Dataset], *, as_json: bool) -> None:
    rows: list[Teacher | Dataset] = list(uploads)
    if as_json:
        print_json(rows)
        return
    table = Table("id", "name", "status", "bytes", "", box=None)
    for row in rows:
        description = str(row.error or _describe(row))
        table.add_row(row.id, row.name, row.status, f"{row.size or 0:,}", description)
    console.print(table)


def _describe(upload: Teacher | Dataset) -> str:
    if isinstance(upload, Teacher):
        return upload.architecture or ""
    return f"{len(upload.classes or [])} classes"
