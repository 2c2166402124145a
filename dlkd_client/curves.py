"""A job's metric series as curves in the terminal: accuracy above, loss below."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import plotext
from rich.text import Text

from dlkd_client.answers import Job

_HEIGHT, _WIDTH = 12, 78
_EVERY_SECONDS = 2.0
_POINTS = 200
_PANELS = {"accuracy": ("val/top1", "val/knn_top1", "val/agreement"), "loss": ("train/loss", "val/nll")}


class Curves:
    """What was measured so far; a rich renderable. `look` fits `on_progress` of `Client.wait`.

    Args:
        metrics: asks for the series of a job, as `Client.metrics` does.
    """

    def __init__(self, metrics: Callable[..., dict[str, Any]]) -> None:
        self._metrics = metrics
        self._asked = float("-inf")
        self._drawn = ""

    def look(self, job: Job) -> None:
        """Draws them anew, unless that was just done."""
        if not job.ended and monotonic() < self._asked + _EVERY_SECONDS:
            return
        self._asked = monotonic()
        self._drawn = draw(self._metrics(job.id, max_points=_POINTS)["series"])

    def __rich__(self) -> Text:
        return Text.from_ansi(self._drawn)


def draw(series: dict[str, list[dict[str, Any]]]) -> str:
    """The panels of which there is something to show, as lines of text with colours."""
    shown = {title: {name: series[name] for name in names if series.get(name)} for title, names in _PANELS.items()}
    return "\n".join(_panel(title, found) for title, found in shown.items() if found)


def _panel(title: str, series: dict[str, list[dict[str, Any]]]) -> str:
    figure = plotext.figure
    figure.clear()
    figure.theme("simple")
    figure.plot_size(_WIDTH, _HEIGHT)
    figure.title(title)
    for name, points in series.items():
        known = [point for point in points if point["value"] is not None]
        signal = figure.signal([point["step"] for point in known], [point["value"] for point in known])
        signal.lines()
        signal.label(name)
        figure.draw(signal)
    return str(figure.build()).rstrip()
