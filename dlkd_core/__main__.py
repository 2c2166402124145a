"""`python -m dlkd_core spec.json out/`: one run without the service."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from dlkd_core.errors import DistillationError
from dlkd_core.spec import DistillationSpec


def main(arguments: list[str] | None = None) -> int:
    """Runs the spec; the report goes to `out/report.json`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dlkd_core", description=__doc__)
    parser.add_argument("spec", type=Path, help="JSON: teacher.path, dataset.path, student, method, training, export")
    parser.add_argument("out", type=Path, help="folder for the student's files, checkpoints and report.json")
    parser.add_argument("--resume", action="store_true", help="go on from out/checkpoint.pt where there is one")
    parser.add_argument("--memory", type=int, metavar="MIB", help="for images, of which more stay on disk (half of the free)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where those are kept for the next run (out/data)")
    given = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        spec = DistillationSpec.model_validate_json(given.spec.read_bytes())
        _run(spec, given, console)
    except (DistillationError, ValidationError, OSError) as error:
        console.print(_words(error), style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        console.print(_stopped(given.out / "checkpoint.pt"))
        return 130
    return 0


def _run(spec: DistillationSpec, given: argparse.Namespace, console: Console) -> None:
    from dlkd_core.checkpoint import FILE  # torch takes seconds to import: not before the spec is known to be good
    from dlkd_core.data import Reading
    from dlkd_core.terminal import run_to_report

    checkpoint = given.out / FILE
    memory = None if given.memory is None else given.memory << 20
    run_to_report(
        spec,
        given.out,
        console,
        resume_from=checkpoint if given.resume and checkpoint.exists() else None,
        reading=Reading(memory_bytes=memory, cache=given.cache or given.out / "data"),
    )


def _stopped(checkpoint: Path) -> str:
    return f"Stopped. Run again with --resume to go on from {checkpoint}." if checkpoint.exists() else "Stopped."


def _words(error: Exception) -> str:
    if isinstance(error, DistillationError):
        return f"{error.message}\n{error.hint}\n({error.code})"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
