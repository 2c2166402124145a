"""Drawings of the architecture, as SVG within the page: they take its colours, and load nothing."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from docs.building import tables
from registry.lifecycle import MOVES, TERMINAL, JobStatus

_S = JobStatus


class Box(NamedTuple):
    """A labelled box, by its centre."""

    x: int
    y: int
    lines: tuple[str, ...]
    width: int = 130
    height: int = 50


_PARTS = {
    "you": Box(70, 130, ("you", "command, Python, curl")),
    "api": Box(270, 130, ("api", "FastAPI")),
    "database": Box(470, 40, ("database", "the truth")),
    "queue": Box(470, 130, ("queue", "carries hints")),
    "store": Box(470, 220, ("artifact store", "files by sha256")),
    "worker": Box(670, 130, ("worker", "Celery, supervisor")),
    "trainer": Box(870, 130, ("trainer process", "dlkd_core")),
}
_FLOW = [
    ("you", "api", "spec, files"),
    ("api", "database", "rows"),
    ("api", "queue", "job id"),
    ("api", "store", "uploads"),
    ("queue", "worker", "hint"),
    ("worker", "database", "claim, lease, progress"),
    ("worker", "trainer", "spec"),
    ("worker", "store", "student, checkpoints"),
]
_STATES = {
    state: Box(x, y, (str(state),), 100, 36)
    for state, (x, y) in {
        _S.VALIDATING: (70, 120),
        _S.QUEUED: (210, 120),
        _S.STARTING: (350, 120),
        _S.RUNNING: (490, 120),
        _S.EXPORTING: (640, 120),
        _S.SUCCEEDED: (800, 120),
        _S.PAUSED: (210, 30),
        _S.PAUSING: (490, 30),
        _S.CANCELLING: (490, 210),
        _S.CANCELLED: (640, 210),
        _S.FAILED: (350, 210),
        _S.EXPIRED: (210, 210),
    }.items()
}
_DRAWN = [
    (_S.VALIDATING, _S.QUEUED, ""),
    (_S.QUEUED, _S.STARTING, ""),
    (_S.STARTING, _S.RUNNING, ""),
    (_S.RUNNING, _S.EXPORTING, ""),
    (_S.EXPORTING, _S.SUCCEEDED, ""),
    (_S.RUNNING, _S.PAUSING, "pause"),
    (_S.PAUSING, _S.PAUSED, ""),
    (_S.PAUSED, _S.QUEUED, "resume"),
    (_S.RUNNING, _S.CANCELLING, "cancel"),
    (_S.CANCELLING, _S.CANCELLED, ""),
    (_S.RUNNING, _S.FAILED, ""),
    (_S.QUEUED, _S.EXPIRED, ""),
]


def flow() -> str:
    """Who hands what to whom."""
    return _svg("Data flow: you, API, database, queue, store, worker, trainer", (950, 260), _PARTS, _FLOW)


def moves() -> str:
    """The life of a job: the usual moves as a drawing, all of them as a table."""
    assert all(to in MOVES[source] for source, to, _ in _DRAWN), "a move is drawn that the service does not make"  # noqa: S101
    drawing = _svg("The life of a job", (870, 245), {str(state): box for state, box in _STATES.items()}, _DRAWN)
    rows = (
        (f"`{state}`", ", ".join(f"`{to}`" for to in JobStatus if to in MOVES[state]) or "nothing", _kind(state))
        for state in JobStatus
    )
    return f"{drawing}\n\n{tables.table(('state', 'may become', ''), rows)}"


def _kind(state: JobStatus) -> str:
    if state not in TERMINAL:
        return ""
    return "final" if not MOVES[state] else "final, but for a retry"


def _svg(title: str, size: tuple[int, int], boxes: dict[str, Box], arrows: Sequence[tuple[str, str, str]]) -> str:
    lines = "".join(_arrow(boxes[start], boxes[end]) for start, end, _ in arrows)
    labels = "".join(_label(boxes[start], boxes[end], words) for start, end, words in arrows if words)
    drawn = lines + labels + "".join(map(_box, boxes.values()))
    return (
        f'<div class="drawing"><svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(title)}">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>{drawn}</svg></div>'
    )


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    first = box.y + 5 - 9 * (len(box.lines) - 1)
    words = "".join(
        f'<text x="{box.x}" y="{first + 18 * row}" class="{"name" if row == 0 else "note"}">{escape(line)}</text>'
        for row, line in enumerate(box.lines)
    )
    return f'<rect x="{left}" y="{top}" width="{box.width}" height="{box.height}" rx="6"/>{words}'


def _arrow(start: Box, end: Box) -> str:
    (x1, y1), (x2, y2) = _edge(start, end), _edge(end, start)
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" marker-end="url(#tip)"/>'


def _label(start: Box, end: Box, words: str) -> str:
    """Words on the middle of the arrow, above it where it is level."""
    (x1, y1), (x2, y2) = _edge(start, end), _edge(end, start)
    down = -6 if y1 == y2 else 4
    return f'<text x="{(x1 + x2) / 2:.0f}" y="{(y1 + y2) / 2 + down:.0f}" class="label">{escape(words)}</text>'


def _edge(box: Box, towards: Box) -> tuple[float, float]:
    """Where the line from the box's centre to the other's leaves the box."""
    across, down = towards.x - box.x, towards.y - box.y
    share = min(box.width / 2 / abs(across) if across else 9, box.height / 2 / abs(down) if down else 9)
    return box.x + across * share, box.y + down * share
