"""What a notebook shows of work under way: one output, replaced in place. It needs no widgets, which not every notebook has."""

import time
from typing import Any

from rich.console import RenderableType
from rich.jupyter import JupyterMixin
from rich.progress import Progress

_PAUSE_SECONDS = 0.1  # files come in many pieces; the eye sees no more


class _Shown(JupyterMixin):
    """The bars as they are now."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        return self._progress.get_renderable()


class Output:
    """The output under a cell that shows the bars of a progress."""

    def __init__(self, progress: Progress) -> None:
        self._shown = _Shown(progress)
        self._handle: Any = None
        self._at = 0.0

    def draw(self, *, now: bool = False) -> None:
        """Shows how far it is: `now`, or if that was not done a moment ago."""
        if not now and time.monotonic() - self._at < _PAUSE_SECONDS:
            return
        self._at = time.monotonic()
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self._shown, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types for it
        else:
            self._handle.update(self._shown)
