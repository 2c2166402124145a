"""A run on a terminal: a bar with the latest accuracy while it works, plain lines where nobody watches."""

import json
import signal
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from dlkd_core import events
from dlkd_core.data import Reading
from dlkd_core.distributed import told
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

REPORT = "report.json"


def run_to_report(
    spec: DistillationSpec, out: Path, console: Console, *, resume_from: Path | None = None, reading: Reading | None = None
) -> dict[str, Any]:
    """Runs `spec` with its progress on the console; returns the report, also written to `out/report.json`.

    Interrupted while it trains, it leaves a checkpoint in `out`. Call it from the main thread: it listens to Ctrl-C. Started by
    torchrun only the leader speaks, listens and has a report.
    """
    if not told().leads:
        return _followed(run(spec, out, resume_from=resume_from, reading=reading))
    report: dict[str, Any] = {}
    with closing(run(spec, out, resume_from=resume_from, reading=reading)) as work, _Interrupt() as interrupt:
        for event in _watched(work, console):
            interrupt.follow(event)
            if isinstance(event, events.Finished):
                report = event.report
    (out / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    return report


def _followed(work: Generator[events.Event]) -> dict[str, Any]:
    """A process that is not the leader ends when the leader does: Ctrl-C, which all of them are sent, is not its to answer."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in work:
            pass
    finally:
        signal.signal(signal.SIGINT, before)
    return {}


def _watched(work: Generator[events.Event], console: Console) -> Iterator[events.Event]:
    with _Screen(console) as screen:
        for event in work:
            screen.show(event)
            yield event


class _Interrupt:
    """Ctrl-C while training waits for the end of the step, so that a checkpoint can be left; the second one does not wait."""

    def __init__(self) -> None:
        self.training = self.asked = False

    def __enter__(self) -> Self:
        self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self.before)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked or not self.training:
            raise KeyboardInterrupt
        self.asked = True

    def follow(self, event: events.Event) -> None:
        """To be told of every event; raises KeyboardInterrupt between two of them when it was asked to."""
        if isinstance(event, events.PhaseStarted):
            self.training = event.phase == "training"
        if self.asked:
            raise KeyboardInterrupt


class _Screen:
    def __init__(self, console: Console) -> None:
        self.console = console
        words = (TextColumn("{task.description}"), BarColumn(), TextColumn("epoch {task.fields[epoch]}"))
        figures = (TextColumn("{task.fields[top1]}"), TimeElapsedColumn(), TimeRemainingColumn())
        self.progress = Progress(*words, *figures, console=console, disable=not console.is_terminal)
        self.task = self.progress.add_task("training", total=None, visible=False, epoch="", top1="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    def show(self, event: events.Event) -> None:
        match event:
            case events.StepDone(step=step, steps=steps, epoch=epoch, epochs=epochs):
                self.progress.update(self.task, completed=step, total=steps, visible=True, epoch=f"{epoch}/{epochs}")
            case events.Measured(values=values):
                self._evaluated(event.epoch, values)
            case events.PhaseStarted(phase=phase):
                self.console.print(f"{phase} …")
            case events.Noticed(message=message):
                self.console.print(message, style="yellow")
            case events.TeacherProved():
                self.console.print(_proof(event))
            case events.Finished(report=report):
                self.console.print(_summary(report))

    def _evaluated(self, epoch: int, values: dict[str, float]) -> None:
        figure = next((f"{title} {values[f'val/{name}']:.1%}" for name, title in _MEASURES if f"val/{name}" in values), None)
        if figure is None:
            return
        self.progress.update(self.task, top1=figure)
        if not self.console.is_terminal:
            self.console.print(f"epoch {epoch}: {figure}")


def _proof(event: events.TeacherProved) -> str:
    if event.knn_top1 is not None:
        return f"teacher {event.architecture}, by nearest neighbours: {event.knn_top1:.1%} of {event.images} images"
    shown = "images without labels" if event.top1 is None else "images"
    return f"teacher {event.architecture}: {'' if event.top1 is None else f'{event.top1:.1%} of '}{event.images} {shown}"


def _summary(report: dict[str, dict[str, dict[str, Any]]]) -> Table:
    student = report["metrics"]["student"]
    measure, title = next(pair for pair in _MEASURES if pair[0] == "agreement" or student.get(pair[0]) is not None)
    table = Table("", title, "parameters", "latency (ms)")
    for name, metrics in report["metrics"].items():
        if metrics:
            found = metrics.get(measure)
            shown = "" if found is None else f"{found:.1%}"
            table.add_row(name, shown, f"{metrics['parameters']:,}", f"{metrics['latency_ms']:.2f}")
    return table


_MEASURES = (("top1", "top-1"), ("knn_top1", "k-NN top-1"), ("agreement", "agreement"))  # the first that the student has
