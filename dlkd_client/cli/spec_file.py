"""Reads job specs from YAML or JSON files, with overrides from the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from dlkd_client.cli.terminal import exit_with_error


def read_spec(file: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Read a spec from a file, or from standard input if the file is `-`, and apply overrides."""
    if str(file) == "-":
        spec = parse_object(sys.stdin.read(), "standard input")
    elif file.is_file():
        spec = parse_object(file.read_text(), str(file))
    else:
        exit_with_error(f"File not found: {file}")
    return apply_overrides(spec, overrides)


def apply_overrides(spec: dict[str, Any], overrides: list[str] | None) -> dict[str, Any]:
    """Apply overrides of the form `path=value` to a spec. Values are YAML."""
    for override in overrides or []:
        _apply_override(spec, override)
    return spec


def parse_object(text: str, source: str) -> dict[str, Any]:
    """Parse an object from YAML or JSON. `source` is the name of the text in error messages."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        exit_with_error(f"{source} is neither YAML nor JSON: {error}")
    if not isinstance(value, dict):
        exit_with_error(f"{source} must hold an object, but holds {type(value).__name__}.")
    return value


def write_spec(spec: dict[str, Any], file: Path) -> Path:
    """Write a spec as JSON and return the path of the file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(spec, indent=2) + "\n")
    except OSError as error:
        exit_with_error(f"{error.filename or file}: {error.strerror}")
    return file


def _apply_override(spec: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not (path and equals):
        exit_with_error(f"--set {override}: use path=value, such as training.epochs=3.")
    *parents, last = path.split(".")
    part = spec
    for name in parents:
        part = part.setdefault(name, {})
        if not isinstance(part, dict):
            exit_with_error(f"--set {override}: {name} is not an object.")
    try:
        part[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        exit_with_error(f"--set {override}: the value is not YAML: {error}")
