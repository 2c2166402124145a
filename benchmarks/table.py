"""A table of accuracies, ours beside published ones: as markdown, and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev


@dataclass(frozen=True)
class Cell:
    """One method on one pair. `ours`: top-1 in percent, one of each seed; `published`: of each source that has it."""

    pair: str
    method: str
    ours: Sequence[float]
    published: dict[str, float] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """Mean and standard deviation over the seeds."""
        spread = f" ± {stdev(self.ours):.2f}" if len(self.ours) > 1 else ""
        return f"**{mean(self.ours):.2f}**{spread}"


def header(pairs: Sequence[str], sources: dict[str, Sequence[str]]) -> str:
    """The first two lines: a column of ours for each pair, and one for each source that publishes it."""
    columns = [name for pair in pairs for name in (pair.replace("/", " → "), *sources[pair])]
    return f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"


def row(method: str, cells: Sequence[Cell], sources: dict[str, Sequence[str]]) -> str:
    """The line of a method over all pairs."""
    entries = [
        entry for cell in cells for entry in (cell.told, *(_number(cell.published.get(one)) for one in sources[cell.pair]))
    ]
    return f"| {method} | {' | '.join(entries)} |"


def draw(cells: Sequence[Cell], teachers: dict[str, float], path: Path) -> None:
    """A panel a pair: each seed a point, their mean a bar, published numbers hollow, the teacher a line. SVG by its name."""
    import matplotlib as mpl  # noqa: PLC0415  # only who draws waits for it
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "dlkd"  # the same table is the same file
    pairs, methods = list(dict.fromkeys(cell.pair for cell in cells)), list(dict.fromkeys(cell.method for cell in cells))
    figure = Figure(figsize=(4 * len(pairs) + 1, 0.4 * len(methods) + 1.6), layout="constrained")
    for axes, pair in zip(figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0], pairs, strict=True):
        of_pair = [cell for cell in cells if cell.pair == pair]
        places = [methods.index(cell.method) for cell in of_pair]
        axes.plot([mean(cell.ours) for cell in of_pair], places, "|", markersize=14, markeredgewidth=2, label="mean")
        axes.plot(*_points(of_pair, places), "o", markersize=4, alpha=0.6, label="a seed")
        for source, mark in zip(sorted({name for cell in of_pair for name in cell.published}), "sD^", strict=False):
            known = [(cell.published[source], at) for cell, at in zip(of_pair, places, strict=True) if source in cell.published]
            axes.plot(*zip(*known, strict=True), mark, fillstyle="none", label=source)
        if pair in teachers:
            axes.axvline(teachers[pair], linestyle="--", color="grey", label="teacher")
        axes.set(title=pair.replace("/", " → "), xlabel="top-1 (%)", yticks=range(len(methods)), yticklabels=methods)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize="small")
        axes.yaxis.set_inverted(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _points(cells: Sequence[Cell], places: Sequence[int]) -> tuple[list[float], list[int]]:
    values = [value for cell in cells for value in cell.ours]
    return values, [place for cell, place in zip(cells, places, strict=True) for _ in cell.ours]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
