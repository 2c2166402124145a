"""Shows progress bars on a terminal or in a notebook.

If the output is neither, a line is printed after each quarter of the work.
"""

from collections.abc import Callable, Iterable
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dlkd_client.notebook import NotebookOutput
from dlkd_client.responses import Job

ByteCallback = Callable[[int, int], None]  # (bytes transferred, total bytes)
_PRINT_STEP = 0.25
_STYLES = {
    "succeeded": "green",
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "yellow",
}


class _ProgressWithFooter(Progress):
    """Progress bars with a footer."""

    footer: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.footer is not None:
            yield self.footer


class ProgressBars:
    """Progress bars with an optional footer. By default, they are drawn on standard error.

    >>> with ProgressBars() as bars:
    ...     client.wait(job.id, on_progress=bars.add_line("distill into resnet8").show_job)
    """

    def __init__(
        self, console: Console | None = None, *, footer: RenderableType | None = None
    ) -> None:
        self.console = console or Console(stderr=True)
        self.live = self.console.is_terminal or self.console.is_jupyter
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
        )
        self._progress = _ProgressWithFooter(
            *columns, console=self.console, disable=not self.live or self.console.is_jupyter
        )
        self._progress.footer = footer
        self._output = NotebookOutput(self._progress) if self.console.is_jupyter else None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._output is not None:
            self._output.draw(force=True)

    def add_line(self, label: str) -> "ProgressLine":
        """Add a bar below the others."""
        return ProgressLine(self, self._progress.add_task(escape(label), total=1.0, text=""), label)

    def draw(self, task: TaskID, fraction: float, text: str) -> None:
        """Update a bar. Does nothing if the console shows no bars."""
        self._progress.update(task, completed=fraction, text=text)
        if self._output is not None:
            self._output.draw()

    def print(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class ProgressLine:
    """A progress bar. Pass its `show_job` as `on_progress` to `Client.wait`."""

    def __init__(self, bars: ProgressBars, task: TaskID, label: str) -> None:
        self._bars = bars
        self._task = task
        self._label = label
        self._fraction = 0.0
        self._last_printed: tuple[str, int] | None = None

    def show_job(self, job: Job) -> None:
        """Show the current state of a job."""
        phase = (job.progress.phase if job.status == "running" else None) or job.status
        fraction = (
            1.0 if job.status == "succeeded" else max(self._fraction, job.progress.fraction or 0.0)
        )
        self.update(fraction, phase, describe_job(job))

    def show_bytes(self, done: int, size: int) -> None:
        """Show the progress of a transfer. Pass this method as `on_bytes`."""
        self.update(
            done / size if size else 1.0,
            "done" if done == size else "transferring",
            f"{done / 1e6:.1f} of {size / 1e6:.1f} MB",
        )

    def update(self, fraction: float, phase: str, text: str = "") -> None:
        """Show a fraction in [0, 1] and a phase."""
        self._fraction = fraction
        style = _STYLES.get(phase)
        status = f"{phase} {text}".strip()
        if self._bars.live:
            self._bars.draw(
                self._task, fraction, f"[{style}]{escape(status)}[/]" if style else escape(status)
            )
            return
        state = (phase, int(fraction / _PRINT_STEP))
        if state != self._last_printed:
            self._last_printed = state
            self._bars.print(f"{self._label}: {status} ({fraction:.0%})")


def describe_job(job: Job) -> str:
    """Return the job's progress or failure as a short text."""
    if job.error is not None and job.is_finished:
        return f"{job.error.message} ({job.error.code})"
    progress = job.progress
    if job.is_finished or progress.epoch is None or progress.epochs is None:
        return ""
    eta = (
        f" · {format_duration(progress.eta_seconds)} left"
        if progress.eta_seconds is not None
        else ""
    )
    return f"epoch {progress.epoch}/{progress.epochs}{eta}"


def format_duration(seconds: float) -> str:
    """Format a duration in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
