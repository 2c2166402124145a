"""The `dlkd doctor` command."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.markup import escape

from dlkd_client.cli.connection_settings import (
    DEFAULT_DATA_DIR,
    DataOption,
    JsonOption,
    KeyOption,
    UrlOption,
)
from dlkd_client.cli.terminal import console, print_json
from dlkd_client.local import diagnostics
from dlkd_client.local.diagnostics import CheckResult, CheckState

app = typer.Typer()
_STYLES = {CheckState.OK: "green", CheckState.WARN: "yellow", CheckState.FAIL: "red"}


@app.command()
def doctor(
    url: UrlOption = None,
    key: KeyOption = None,
    data: DataOption = DEFAULT_DATA_DIR,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check the installation and the service.

    Also checks the device, the disk space and the backends that the DLKD_... settings select. The
    exit status is 1 if a check fails.
    """
    results = list(run_checks(url, key, data))
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        for result in results:
            _print_result(result)
    raise typer.Exit(1 if any(result.state == CheckState.FAIL for result in results) else 0)


def _print_result(result: CheckResult) -> None:
    state = f"[{_STYLES[result.state]}]{result.state:4}[/]"
    text = f"{state} [bold]{result.name}[/]: {escape(result.message)}"
    console.print(text, highlight=False, soft_wrap=True)
    if result.hint:
        console.print(f"     {escape(result.hint)}", highlight=False, soft_wrap=True)


def run_checks(url: str | None, key: str | None, data: Path) -> Iterator[CheckResult]:
    """Run all checks one after the other. Each takes at most a few seconds."""
    yield diagnostics.check_python()
    yield from diagnostics.check_packages()
    yield diagnostics.check_device()
    yield diagnostics.check_onnxruntime()
    yield diagnostics.check_disk(data)
    yield diagnostics.check_service(url, key, data)
    yield from diagnostics.check_settings(data)
