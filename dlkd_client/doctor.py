"""`dlkd doctor`: what is well here, what is not, and what to do about it."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.markup import escape

from dlkd_client import checks
from dlkd_client.checks import Finding
from dlkd_client.connect import DEFAULT_DATA, AsJson, Data, Key, Url
from dlkd_client.terminal import out, show_json

app = typer.Typer()
_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def doctor(url: Url = None, key: Key = None, data: Data = DEFAULT_DATA, *, as_json: AsJson = False) -> None:
    """Checks installation, device, disk, the service, and the database, broker and store of the settings here."""
    found = list(findings(url, key, data))
    if as_json:
        show_json([asdict(finding) for finding in found])
    else:
        for one in found:
            _print(one)
    raise typer.Exit(1 if any(finding.state == "fail" for finding in found) else 0)


def _print(one: Finding) -> None:
    out.print(f"[{_STYLES[one.state]}]{one.state:4}[/] [bold]{one.name}[/]: {escape(one.told)}", highlight=False, soft_wrap=True)
    if one.hint:
        out.print(f"     {escape(one.hint)}", highlight=False, soft_wrap=True)


def findings(url: str | None, key: str | None, data: Path) -> Iterator[Finding]:
    """One after the other; each costs at most some seconds."""
    yield checks.python()
    yield from checks.packages()
    yield checks.device()
    yield checks.onnx()
    yield checks.disk(data)
    yield checks.service(url, key, data)
    yield from checks.settings(data)
