"""Architecture diagrams as inline SVG.

They use the page's colors and load nothing from another host.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from docs.generators import markdown_tables
from registry.jobs.lifecycle import TERMINAL, TRANSITIONS, JobStatus

_Status = JobStatus


class Box(NamedTuple):
    """A labeled box, positioned by its center."""

    x: int
    y: int
    lines: tuple[str, ...]
    width: int = 130
    height: int = 50


_COMPONENTS = {
    "you": Box(70, 130, ("you", "CLI, Python, curl")),
    "api": Box(270, 130, ("api", "FastAPI")),
    "database": Box(470, 40, ("database", "source of truth")),
    "queue": Box(470, 130, ("queue", "carries job IDs")),
    "store": Box(470, 220, ("artifact store", "files by sha256")),
    "worker": Box(670, 130, ("worker", "Celery, supervisor")),
    "trainer": Box(870, 130, ("trainer process", "dlkd_core")),
}
_DATA_FLOWS = [
    ("you", "api", "spec, files"),
    ("api", "database", "rows"),
    ("api", "queue", "job id"),
    ("api", "store", "uploads"),
    ("queue", "worker", "hint"),
    ("worker", "database", "claim, lease, progress"),
    ("worker", "trainer", "spec"),
    ("worker", "store", "student, checkpoints"),
]
_STATE_BOXES = {
    state: Box(x, y, (str(state),), 100, 36)
    for state, (x, y) in {
        _Status.VALIDATING: (70, 120),
        _Status.QUEUED: (210, 120),
        _Status.STARTING: (350, 120),
        _Status.RUNNING: (490, 120),
        _Status.EXPORTING: (640, 120),
        _Status.SUCCEEDED: (800, 120),
        _Status.PAUSED: (210, 30),
        _Status.PAUSING: (490, 30),
        _Status.CANCELLING: (490, 210),
        _Status.CANCELLED: (640, 210),
        _Status.FAILED: (350, 210),
        _Status.EXPIRED: (210, 210),
    }.items()
}
_DRAWN_TRANSITIONS = [
    (_Status.VALIDATING, _Status.QUEUED, ""),
    (_Status.QUEUED, _Status.STARTING, ""),
    (_Status.STARTING, _Status.RUNNING, ""),
    (_Status.RUNNING, _Status.EXPORTING, ""),
    (_Status.EXPORTING, _Status.SUCCEEDED, ""),
    (_Status.RUNNING, _Status.PAUSING, "pause"),
    (_Status.PAUSING, _Status.PAUSED, ""),
    (_Status.PAUSED, _Status.QUEUED, "resume"),
    (_Status.RUNNING, _Status.CANCELLING, "cancel"),
    (_Status.CANCELLING, _Status.CANCELLED, ""),
    (_Status.RUNNING, _Status.FAILED, ""),
    (_Status.QUEUED, _Status.EXPIRED, ""),
]


def data_flow() -> str:
    """Return the diagram of the data flow between the parts of the service."""
    return _render_svg(
        "Data flow: you, API, database, queue, store, worker, trainer",
        (950, 260),
        _COMPONENTS,
        _DATA_FLOWS,
    )


def job_states() -> str:
    """Return a diagram of the usual job transitions and a table of all of them."""
    if any(target not in TRANSITIONS[source] for source, target, _ in _DRAWN_TRANSITIONS):
        raise ValueError("The diagram shows a transition that the lifecycle does not allow.")
    diagram = _render_svg(
        "Job lifecycle",
        (870, 245),
        {str(state): box for state, box in _STATE_BOXES.items()},
        _DRAWN_TRANSITIONS,
    )
    rows = (
        (
            f"`{state}`",
            ", ".join(f"`{to}`" for to in JobStatus if to in TRANSITIONS[state]) or "none",
            _describe_final(state),
        )
        for state in JobStatus
    )
    return f"{diagram}\n\n{markdown_tables.markdown_table(('state', 'next states', ''), rows)}"


def _describe_final(state: JobStatus) -> str:
    if state not in TERMINAL:
        return ""
    return "final" if not TRANSITIONS[state] else "final, unless retried"


def _render_svg(
    title: str, size: tuple[int, int], boxes: dict[str, Box], arrows: Sequence[tuple[str, str, str]]
) -> str:
    lines = "".join(_render_arrow(boxes[start], boxes[end]) for start, end, _ in arrows)
    labels = "".join(
        _render_label(boxes[start], boxes[end], text) for start, end, text in arrows if text
    )
    shapes = lines + labels + "".join(map(_render_box, boxes.values()))
    width, height = size
    return (
        f'<div class="drawing"><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>{shapes}</svg></div>'
    )


def _render_box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    first_line = box.y + 5 - 9 * (len(box.lines) - 1)
    text = "".join(
        f'<text x="{box.x}" y="{first_line + 18 * row}" class="{"name" if row == 0 else "note"}">'
        f"{escape(line)}</text>"
        for row, line in enumerate(box.lines)
    )
    return f'<rect x="{left}" y="{top}" width="{box.width}" height="{box.height}" rx="6"/>{text}'


def _render_arrow(start: Box, end: Box) -> str:
    (x1, y1), (x2, y2) = _edge_point(start, end), _edge_point(end, start)
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" marker-end="url(#tip)"/>'


def _render_label(start: Box, end: Box, text: str) -> str:
    """Return the label at the arrow's midpoint, or above it if the arrow is horizontal."""
    (x1, y1), (x2, y2) = _edge_point(start, end), _edge_point(end, start)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 + (-6 if y1 == y2 else 4)
    return f'<text x="{x:.0f}" y="{y:.0f}" class="label">{escape(text)}</text>'


def _edge_point(box: Box, other: Box) -> tuple[float, float]:
    """Return the point where the line between two box centers leaves the first box."""
    dx, dy = other.x - box.x, other.y - box.y
    fraction = min(box.width / 2 / abs(dx) if dx else 9, box.height / 2 / abs(dy) if dy else 9)
    return box.x + dx * fraction, box.y + dy * fraction
