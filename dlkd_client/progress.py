"""Work that is under way: live bars on a terminal and in a notebook, a plain line at each quarter elsewhere."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dlkd_client.answers import Job
from dlkd_client.notebook import Output

Watcher = Callable[[int, int], None]  # bytes that have arrived, bytes in all
_QUARTER = 0.25
_STYLES = {"succeeded": "green", "done": "green", "failed": "red", "cancelled": "yellow", "expired": "yellow"}


class _WithMore(Progress):
    """Bars with something under them."""

    under: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.under is not None:
            yield self.under


class Bars:
    """A block of bars, one a line, on a console (standard error by default), and perhaps something `under` them.

    >>> with Bars() as bars:
    ...     client.wait(job.id, on_progress=bars.line("distil into resnet8").show)
    """

    def __init__(self, console: Console | None = None, *, under: RenderableType | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.live = self.console.is_terminal or self.console.is_jupyter
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
        )
        self._progress = _WithMore(*columns, console=self.console, disable=not self.live or self.console.is_jupyter)
        self._progress.under = under
        self._output = Output(self._progress) if self.console.is_jupyter else None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()
        if self._output is not None:
            self._output.draw(now=True)

    def line(self, label: str) -> "Line":
        """A new bar under the others."""
        return Line(self, self._progress.add_task(escape(label), total=1.0, text=""), label)

    def draw(self, task: TaskID, fraction: float, text: str) -> None:
        """Moves a bar; nothing where there are none."""
        self._progress.update(task, completed=fraction, text=text)
        if self._output is not None:
            self._output.draw()

    def print(self, text: str) -> None:
        """A plain line: above the bars, or by itself."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class Line:
    """One bar. `show` can be given to `Client.wait` as it is."""

    def __init__(self, bars: Bars, task: TaskID, label: str) -> None:
        self._bars = bars
        self._task = task
        self._label = label
        self._fraction = 0.0
        self._said: tuple[str, int] | None = None

    def show(self, job: Job) -> None:
        """The state of the job as it is now."""
        phase = (job.progress.phase if job.status == "running" else None) or job.status
        fraction = 1.0 if job.status == "succeeded" else max(self._fraction, job.progress.fraction or 0.0)
        self.step(fraction, phase, words(job))

    def bytes(self, done: int, size: int) -> None:
        """How much of a file has arrived; fits `on_bytes` of uploads and downloads."""
        self.step(
            done / size if size else 1.0, "done" if done == size else "on its way", f"{done / 1e6:.1f} of {size / 1e6:.1f} MB"
        )

    def step(self, fraction: float, phase: str, text: str = "") -> None:
        """How far it is, in [0, 1], and in which phase."""
        self._fraction = fraction
        style = _STYLES.get(phase)
        shown = f"{phase} {text}".strip()
        if self._bars.live:
            self._bars.draw(self._task, fraction, f"[{style}]{escape(shown)}[/]" if style else escape(shown))
            return
        news = (phase, int(fraction / _QUARTER))
        if news != self._said:
            self._said = news
            self._bars.print(f"{self._label}: {shown} ({fraction:.0%})")


def words(job: Job) -> str:
    """The job's progress or failure in a few words."""
    if job.error is not None and job.ended:
        return f"{job.error.message} ({job.error.code})"
    progress = job.progress
    if job.ended or progress.epoch is None or progress.epochs is None:
        return ""
    eta = f" · {duration(progress.eta_seconds)} left" if progress.eta_seconds is not None else ""
    return f"epoch {progress.epoch}/{progress.epochs}{eta}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
