"""What a job should be, read from a file: YAML or JSON, with changes from the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from dlkd_client.terminal import fail


def read(file: Path, changes: list[str] | None = None) -> dict[str, Any]:
    """The object in a file, or in standard input, with `training.epochs=3` and the like applied."""
    if str(file) == "-":
        wish = parse(sys.stdin.read(), "standard input")
    elif file.is_file():
        wish = parse(file.read_text(), str(file))
    else:
        fail(f"There is no file {file}.")
    return changed(wish, changes)


def changed(wish: dict[str, Any], changes: list[str] | None) -> dict[str, Any]:
    """The same with each `path=value` applied; values are YAML."""
    for change in changes or []:
        _apply(wish, change)
    return wish


def parse(text: str, where: str) -> dict[str, Any]:
    """The object in a text that came from somewhere. JSON is YAML."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        fail(f"{where} is neither YAML nor JSON: {error}")
    if not isinstance(value, dict):
        fail(f"{where} holds no object, but {type(value).__name__}.")
    return value


def write(wish: dict[str, Any], file: Path) -> Path:
    """Keeps the wish as JSON beside what came of it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wish, indent=2) + "\n")
    except OSError as error:
        fail(f"{error.filename or file}: {error.strerror}")
    return file


def _apply(wish: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    if not (path and equals):
        fail(f"--set {change}: write path=value, as in training.epochs=3.")
    *parents, last = path.split(".")
    part = wish
    for name in parents:
        part = part.setdefault(name, {})
        if not isinstance(part, dict):
            fail(f"--set {change}: {name} is no object.")
    try:
        part[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        fail(f"--set {change}: the value is not YAML: {error}")
