"""Runs a spec and shows the progress, as a bar on a terminal and as plain lines in a log."""

import json
import signal
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dlkd_core import events
from dlkd_core.data import ReadOptions
from dlkd_core.distributed.process_group import read_world
from dlkd_core.events import Metric, Phase
from dlkd_core.pipeline import run
from dlkd_core.reporting.bundle_documents import REPORT_FILE
from dlkd_core.reporting.gain import describe_gain
from dlkd_core.spec import DistillationSpec

# Metrics with their titles. The first metric that was measured for the student is shown.
_HEADLINE_METRICS = (
    (Metric.TOP1, "top-1"),
    (Metric.KNN_TOP1, "k-NN top-1"),
    (Metric.AGREEMENT, "agreement"),
)
_PHASE_TITLES = {
    Phase.VERIFYING_TEACHER: "verifying the teacher",
    Phase.BASELINE: "training the baseline",
}


def run_with_progress(
    spec: DistillationSpec,
    directory: Path,
    console: Console,
    *,
    resume_from: Path | None = None,
    read_options: ReadOptions | None = None,
) -> dict[str, Any]:
    """Run a spec, show its progress on the console, write `report.json` and return the report.

    Interrupting the training leaves a checkpoint in `directory`. Call this from the main thread,
    because it handles Ctrl-C. If torchrun started several processes, only the leader prints,
    handles Ctrl-C and returns the report. The others return an empty dictionary.
    """
    run_events = run(spec, directory, resume_from=resume_from, read_options=read_options)
    if not read_world().is_leader:
        _run_follower(run_events)
        return {}
    report: dict[str, Any] = {}
    with (
        closing(run_events),
        _InterruptHandler() as interrupt,
        _ProgressDisplay(console) as display,
    ):
        for event in run_events:
            display.show(event)
            interrupt.check(event)
            if isinstance(event, events.RunFinished):
                report = event.report
    (directory / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n")
    return report


def _run_follower(run_events: Generator[events.Event]) -> None:
    """Run the spec in a process that is not the leader, ignoring Ctrl-C.

    Ctrl-C reaches all processes, but a follower stops when the leader does.
    """
    previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in run_events:
            pass
    finally:
        signal.signal(signal.SIGINT, previous_handler)


class _InterruptHandler:
    """Delays Ctrl-C during training until the step is finished, so that a checkpoint can be saved.

    A second Ctrl-C interrupts immediately.
    """

    def __init__(self) -> None:
        self.training = self.requested = False

    def __enter__(self) -> Self:
        self.previous_handler = signal.signal(signal.SIGINT, self._handle_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.previous_handler)

    def _handle_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested or not self.training:
            raise KeyboardInterrupt
        self.requested = True

    def check(self, event: events.Event) -> None:
        """Interrupt the run if Ctrl-C was pressed. Call this with every event of the run.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed during the step.
        """
        if isinstance(event, events.PhaseStarted):
            self.training = event.phase == Phase.TRAINING
        if self.requested:
            raise KeyboardInterrupt


class _ProgressDisplay:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("epoch {task.fields[epoch]}"),
            TextColumn("{task.fields[top1]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("training", total=None, visible=False, epoch="", top1="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, event: events.Event) -> None:
        match event:
            case events.StepFinished(step=step, steps=steps, epoch=epoch, epochs=epochs):
                self.progress.update(
                    self.task, completed=step, total=steps, visible=True, epoch=f"{epoch}/{epochs}"
                )
            case events.MetricsRecorded(values=values):
                self._show_evaluation(event.epoch, values)
            case events.PhaseStarted(phase=phase):
                self.console.print(f"{_PHASE_TITLES.get(phase, phase)} …")
            case events.Notice(message=message, level=level):
                style = "bold red" if level == events.NoticeLevel.WARNING else "yellow"
                self.console.print(message, style=style)
            case events.TeacherVerified():
                self.console.print(_format_teacher(event))
            case events.RunFinished(report=report):
                self.console.print(_build_summary_table(report))
                if baseline := report["metrics"].get("baseline"):
                    self.console.print(describe_gain(baseline), highlight=False)

    def _show_evaluation(self, epoch: int, values: dict[str, float]) -> None:
        text = next(
            (
                f"{title} {values[events.VAL_PREFIX + metric]:.1%}"
                for metric, title in _HEADLINE_METRICS
                if events.VAL_PREFIX + metric in values
            ),
            None,
        )
        if text is None:
            return
        self.progress.update(self.task, top1=text)
        if not self.console.is_terminal:
            self.console.print(f"epoch {epoch}: {text}")


def _format_teacher(event: events.TeacherVerified) -> str:
    if event.knn_top1 is not None:
        result = f"k-NN top-1 {event.knn_top1:.1%} on {event.images} images"
    elif event.top1 is not None:
        result = f"top-1 {event.top1:.1%} on {event.images} images"
    else:
        result = f"{event.images} images without labels"
    return f"teacher {event.architecture}: {result}"


def _build_summary_table(report: dict[str, dict[str, dict[str, Any]]]) -> Table:
    student = report["metrics"]["student"]
    headline, title = next(
        (metric, title)
        for metric, title in _HEADLINE_METRICS
        if metric == Metric.AGREEMENT or student.get(metric) is not None
    )
    table = Table("", title, "parameters", "latency (ms)")
    for name in ("teacher", "student"):
        if metrics := report["metrics"].get(name):
            value = metrics.get(headline)
            text = "" if value is None else f"{value:.1%}"
            table.add_row(name, text, f"{metrics['parameters']:,}", f"{metrics['latency_ms']:.2f}")
    for name, metrics in (report["metrics"].get("test") or {}).items():
        if metrics and metrics.get(headline) is not None:
            table.add_row(f"{name}, test split", f"{metrics[headline]:.1%}", "", "")
    return table
