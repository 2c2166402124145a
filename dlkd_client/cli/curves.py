"""Draws a job's accuracy and loss curves in the terminal."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import plotext
from rich.text import Text

from dlkd_client.responses import Job

_HEIGHT, _WIDTH = 12, 78
_REFRESH_SECONDS = 2.0
_MAX_POINTS = 200
_PANELS = {
    "accuracy": ("val/top1", "val/knn_top1", "val/agreement"),
    "loss": ("train/loss", "val/nll"),
}


class Curves:
    """The curves of a job, which the library `rich` can print.

    Pass `update` as `on_progress` to `Client.wait`.

    Args:
        fetch_metrics: Returns the metric series of a job, such as `Client.metrics`.
    """

    def __init__(self, fetch_metrics: Callable[..., dict[str, Any]]) -> None:
        self._fetch_metrics = fetch_metrics
        self._fetched_at = float("-inf")
        self._drawn = ""

    def update(self, job: Job) -> None:
        """Redraw the curves. While the job runs, redraw at most once every two seconds."""
        if not job.is_finished and monotonic() < self._fetched_at + _REFRESH_SECONDS:
            return
        self._fetched_at = monotonic()
        self._drawn = render_curves(self._fetch_metrics(job.id, max_points=_MAX_POINTS)["series"])

    def __rich__(self) -> Text:
        return Text.from_ansi(self._drawn)


def render_curves(series: dict[str, list[dict[str, Any]]]) -> str:
    """Return the accuracy and loss panels as lines of colored text, without empty panels."""
    panels = {
        title: {name: series[name] for name in names if series.get(name)}
        for title, names in _PANELS.items()
    }
    return "\n".join(_render_panel(title, curves) for title, curves in panels.items() if curves)


def _render_panel(title: str, series: dict[str, list[dict[str, Any]]]) -> str:
    figure = plotext.figure
    figure.clear()
    figure.theme("simple")
    figure.plot_size(_WIDTH, _HEIGHT)
    figure.title(title)
    for name, points in series.items():
        finite = [point for point in points if point["value"] is not None]
        steps, values = [point["step"] for point in finite], [point["value"] for point in finite]
        signal = figure.signal(steps, values)
        signal.lines()
        signal.label(name)
        figure.draw(signal)
    return str(figure.build()).rstrip()
