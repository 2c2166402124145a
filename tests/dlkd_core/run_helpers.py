"""Helpers for tests that run whole specs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from dlkd_core import events
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec


def run_to_end(
    spec: DistillationSpec, directory: Path
) -> tuple[dict[str, Any], list[events.Event]]:
    """Run a spec and return the report and all events."""
    run_events = list(run(spec, directory))
    last = run_events[-1]
    assert isinstance(last, events.RunFinished)
    return last.report, run_events


def run_to_report(spec: DistillationSpec, directory: Path) -> dict[str, Any]:
    """Run a spec and return the report."""
    return run_to_end(spec, directory)[0]


def notice_messages(run_events: Iterable[events.Event]) -> list[str]:
    """Return the messages of all notices among the events."""
    return [event.message for event in run_events if isinstance(event, events.Notice)]


def finished_steps(run_events: Iterable[events.Event]) -> list[int]:
    """Return the step numbers of all finished steps among the events."""
    return [event.step for event in run_events if isinstance(event, events.StepFinished)]


def load_student_weights(directory: Path) -> dict[str, Tensor]:
    """Load the student weights that a run exported to the folder."""
    return load_file(directory / "student.safetensors")


def train_stripes_teacher(stripes: Path, directory: Path, architecture: str) -> Path:
    """Train a network on the stripes dataset and return the path of the safetensors file."""
    spec = DistillationSpec.model_validate(
        {
            "student": {"architecture": architecture},
            "dataset": {"path": stripes},
            "training": {"epochs": 12, "batch_size": 16, "learning_rate": 0.1, "flip": False},
            "export": ["safetensors"],
        }
    )
    report = run_to_report(spec, directory)
    assert report["metrics"]["student"]["top1"] > 0.9
    return directory / "student.safetensors"
