"""Commands about models: listed, compared, pointed at, downloaded."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dlkd_client import complete
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url, service
from dlkd_client.terminal import fail, out, show_json

app = typer.Typer()
_NUMBERS = ("top1", "parameters", "macs", "latency_ms")


@app.command()
def models(
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    name: Annotated[str | None, typer.Option(help="Only versions of this name")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only those with this tag, all of several")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Models, newest first."""
    with service(url, key, data) as client:
        found = list(client.models(name=name, tag=tag))
    if as_json:
        show_json(found)
        return
    table = Table("model", "name", "version", "aliases", "architecture", "top-1", box=None)
    for model in found:
        top1 = (model.metrics.get("student") or {}).get("top1")
        words = (model.id, model.name, str(model.version), ", ".join(model.aliases), model.architecture)
        table.add_row(*words, "" if top1 is None else f"{top1:.2%}")
    out.print(table)


@app.command()
def compare(
    models: Annotated[
        list[str], typer.Argument(help="2 to 20 of model_..., name@alias, name@version", autocompletion=complete.models)
    ],
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    as_json: AsJson = False,
) -> None:
    """Models side by side; shares are of the first one's numbers."""
    with service(url, key, data) as client:
        found = client.compare(*models)
    if as_json:
        show_json(found)
        return
    table = Table("", *(f"{one['name']}@{one['version']}" for one in found["models"]), box=None)
    for number in _NUMBERS:
        table.add_row(number, *(_cell(one["numbers"][number], one["against_first"][number]) for one in found["models"]))
    for kind in dict.fromkeys(file["format"] for one in found["models"] for file in one["files"]):
        table.add_row(f"bytes of {kind}", *(_size(one, kind) for one in found["models"]))
    out.print(table)


@app.command()
def alias(
    target: Annotated[str, typer.Argument(help="name@alias")],
    model: Annotated[
        str | None, typer.Argument(help="A version of the name: model_... or name@version", autocompletion=complete.models)
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Take the alias away; the model stays")] = False,
    as_json: AsJson = False,
) -> None:
    """Points an alias at a version."""
    name, _, word = target.rpartition("@")
    if not (name and word) or delete == bool(model):
        fail("Give name@alias and a version to point it at, or name@alias --delete.")
    with service(url, key, data) as client:
        if model:
            client.point(name, word, model)
        else:
            client.delete_alias(name, word)
        if as_json:
            show_json({"name": name, "alias": word, "model": client.model(target).id if model else None})


@app.command()
def download(
    model: Annotated[str, typer.Argument(help="model_... or name@alias", autocompletion=complete.models)],
    names: Annotated[list[str] | None, typer.Argument(help="Files [default: all]")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = DEFAULT_DATA,
    to: Annotated[Path, typer.Option(help="Folder to write to")] = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Downloads a model's files, checks their sha256 and prints where they lie; what broke off goes on."""
    with service(url, key, data) as client:
        found = client.model(model)
        paths = found.download(to, names, progress=True)
    if as_json:
        files = [found.file(path.name) for path in paths]
        show_json([{"path": str(path), **file.model_dump(mode="json")} for path, file in zip(paths, files, strict=True)])
        return
    for path in paths:
        typer.echo(path)


def _size(one: dict[str, Any], kind: str) -> str:
    return next((_cell(file["size"], file["size_ratio"]) for file in one["files"] if file["format"] == kind), "")


def _cell(value: float | None, share: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:,}" if float(value).is_integer() and value > 1 else f"{value:.4g}"
    return text if share is None else f"{text} ({share:.2f}x)"
