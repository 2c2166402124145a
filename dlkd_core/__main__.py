"""Run a distillation spec without the service."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from dlkd_core.errors import DistillationError
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.spec import DistillationSpec


def main(arguments: list[str] | None = None) -> int:
    """Run the spec from the command line, write `out/report.json` and return the exit status."""
    options = _parse_arguments(arguments)
    console = Console(stderr=True)
    try:
        spec = DistillationSpec.model_validate_json(options.spec.read_bytes())
        _run(spec, options, console)
    except (DistillationError, ValidationError, OSError) as error:
        console.print(_format_error(error), style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        console.print(_format_interruption(options.out / CHECKPOINT_FILE))
        return 130
    return 0


def _parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dlkd_core", description=__doc__)
    parser.add_argument(
        "spec",
        type=Path,
        help="JSON file with teacher.path, dataset.path, student, method, training and export",
    )
    parser.add_argument(
        "out", type=Path, help="output folder for the student's files, checkpoints and report.json"
    )
    parser.add_argument(
        "--resume", action="store_true", help="resume from out/checkpoint.pt if it exists"
    )
    parser.add_argument(
        "--memory",
        type=int,
        metavar="MIB",
        help="memory limit for images in MiB; larger datasets stay on disk"
        " (default: half of the free memory)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="cache folder for datasets that stay on disk (default: out/data)",
    )
    return parser.parse_args(arguments)


def _run(spec: DistillationSpec, options: argparse.Namespace, console: Console) -> None:
    # These import torch, which takes seconds, so the spec is validated first.
    from dlkd_core.data import ReadOptions
    from dlkd_core.terminal import run_with_progress

    checkpoint = options.out / CHECKPOINT_FILE
    read_options = ReadOptions(
        max_memory_bytes=None if options.memory is None else options.memory << 20,
        cache_dir=options.cache or options.out / "data",
    )
    run_with_progress(
        spec,
        options.out,
        console,
        resume_from=checkpoint if options.resume and checkpoint.exists() else None,
        read_options=read_options,
    )


def _format_interruption(checkpoint: Path) -> str:
    if not checkpoint.exists():
        return "Stopped."
    return f"Stopped. Run again with --resume to continue from {checkpoint}."


def _format_error(error: Exception) -> str:
    if isinstance(error, DistillationError):
        return f"{error.message}\n{error.hint}\n({error.code})"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
