"""Progress bars in a notebook, drawn as one output that is replaced in place, without widgets."""

import time
from typing import Any

from rich.console import RenderableType
from rich.jupyter import JupyterMixin
from rich.progress import Progress

_REFRESH_SECONDS = 0.1  # faster updates are not visible


class _ProgressView(JupyterMixin):
    """The current state of the progress bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        return self._progress.get_renderable()


class NotebookOutput:
    """The output of a notebook cell that shows progress bars."""

    def __init__(self, progress: Progress) -> None:
        self._view = _ProgressView(progress)
        self._handle: Any = None
        self._drawn_at = 0.0

    def draw(self, *, force: bool = False) -> None:
        """Draw the bars. Without `force`, skip this if they were drawn a moment ago."""
        if not force and time.monotonic() - self._drawn_at < _REFRESH_SECONDS:
            return
        self._drawn_at = time.monotonic()
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self._view, display_id=True)  # type: ignore[no-untyped-call] # IPython publishes no types
        else:
            self._handle.update(self._view)
