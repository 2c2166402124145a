"""Commands to list, compare, alias and download models."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dlkd_client.cli import completion
from dlkd_client.cli.connection_settings import (
    DEFAULT_DATA_DIR,
    DataOption,
    JsonOption,
    KeyOption,
    UrlOption,
    connect,
)
from dlkd_client.cli.terminal import console, exit_with_error, print_json
from dlkd_core.reporting.gain import format_gain

app = typer.Typer()
_METRICS = ("top1", "parameters", "macs", "latency_ms")


@app.command()
def models(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    name: Annotated[
        str | None, typer.Option(help="Only versions of the model with this name.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only models with this tag. Repeat the option to require several."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List models, newest first.

    The gain is over the same network trained on labels alone, for jobs with a baseline.
    """
    with connect(url, key, data) as client:
        rows = list(client.models(name=name, tag=tag))
    if as_json:
        print_json(rows)
        return
    columns = ("model", "name", "version", "aliases", "architecture", "top-1", "gain (points)")
    table = Table(*columns, box=None)
    for model in rows:
        baseline = model.metrics.get("baseline")
        top1 = (model.metrics.get("student") or {}).get("top1")
        table.add_row(
            model.id,
            model.name,
            str(model.version),
            ", ".join(model.aliases),
            model.architecture,
            "" if top1 is None else f"{top1:.2%}",
            format_gain(baseline) if baseline else "",
        )
    console.print(table)


@app.command()
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="2 to 20 models. Each is an ID such as model_..., name@alias or name@version.",
            autocompletion=completion.complete_models,
        ),
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare models side by side. Ratios are relative to the first model."""
    with connect(url, key, data) as client:
        comparison = client.compare(*models)
    if as_json:
        print_json(comparison)
        return
    rows = comparison["models"]
    table = Table("", *(f"{row['name']}@{row['version']}" for row in rows), box=None)
    for metric in _METRICS:
        values = (
            _format_value(row["numbers"][metric], row["against_first"][metric]) for row in rows
        )
        table.add_row(metric, *values)
    for file_format in dict.fromkeys(file["format"] for row in rows for file in row["files"]):
        table.add_row(f"bytes of {file_format}", *(_format_size(row, file_format) for row in rows))
    console.print(table)


@app.command()
def alias(
    target: Annotated[str, typer.Argument(help="Alias to set or delete, as name@alias.")],
    model: Annotated[
        str | None,
        typer.Argument(
            help="Version to point the alias at: an ID such as model_..., or name@version.",
            autocompletion=completion.complete_models,
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the alias. The model is kept.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Set or delete an alias.

    An alias points at a version of a model.
    """
    name, _, alias_name = target.rpartition("@")
    if not (name and alias_name) or delete == bool(model):
        exit_with_error(
            "Give name@alias and the version to point it at, or name@alias and --delete."
        )
    with connect(url, key, data) as client:
        if model:
            client.set_alias(name, alias_name, model)
        else:
            client.delete_alias(name, alias_name)
        if as_json:
            model_id = client.model(target).id if model else None
            print_json({"name": name, "alias": alias_name, "model": model_id})


@app.command()
def download(
    model: Annotated[
        str,
        typer.Argument(
            help="Model: an ID such as model_..., or name@alias.",
            autocompletion=completion.complete_models,
        ),
    ],
    names: Annotated[
        list[str] | None, typer.Argument(help="Files to download. [default: all]")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    to: Annotated[Path, typer.Option(help="Target folder.")] = Path(),
    *,
    as_json: JsonOption = False,
) -> None:
    """Download a model's files.

    Checks the sha256 of each file and prints its path. An interrupted download is resumed.
    """
    with connect(url, key, data) as client:
        resolved = client.model(model)
        paths = resolved.download(to, names, progress=True)
    if as_json:
        files = [resolved.file(path.name) for path in paths]
        print_json(
            [
                {"path": str(path), **file.model_dump(mode="json")}
                for path, file in zip(paths, files, strict=True)
            ]
        )
        return
    for path in paths:
        typer.echo(path)


def _format_size(model: dict[str, Any], file_format: str) -> str:
    for file in model["files"]:
        if file["format"] == file_format:
            return _format_value(file["size"], file["size_ratio"])
    return ""


def _format_value(value: float | None, ratio: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:,}" if float(value).is_integer() and value > 1 else f"{value:.4g}"
    return text if ratio is None else f"{text} ({ratio:.2f}x)"
