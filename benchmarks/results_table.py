"""The table of measured and published accuracies, as Markdown and as a plot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class TableCell:
    """Accuracies of one method on one teacher/student pair.

    Attributes:
        pair: Names of teacher and student, as "teacher/student".
        method: Name of the method.
        top1: Measured top-1 accuracy in percent, one value per seed.
        published: Published top-1 accuracy in percent, by source.
    """

    pair: str
    method: str
    top1: Sequence[float]
    published: dict[str, float] = field(default_factory=dict)

    @property
    def formatted(self) -> str:
        """Mean and standard deviation over the seeds, as Markdown."""
        spread = f" ± {stdev(self.top1):.2f}" if len(self.top1) > 1 else ""
        return f"**{mean(self.top1):.2f}**{spread}"


def format_header(pairs: Sequence[str], sources: dict[str, Sequence[str]]) -> str:
    """Return the header: per pair, a column for our accuracy and one per published source."""
    columns = [name for pair in pairs for name in (pair.replace("/", " → "), *sources[pair])]
    return f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"


def format_row(method: str, cells: Sequence[TableCell], sources: dict[str, Sequence[str]]) -> str:
    """Return a method's row, with the results for all pairs."""
    entries = []
    for cell in cells:
        published = (cell.published.get(source) for source in sources[cell.pair])
        entries += [cell.formatted, *("" if top1 is None else f"{top1:.2f}" for top1 in published)]
    return f"| {method} | {' | '.join(entries)} |"


def plot_table(cells: Sequence[TableCell], teachers: dict[str, float], path: Path) -> None:
    """Plot the table to a file, with one panel per pair. The file suffix sets the format.

    Each seed is shown as a point and their mean as a bar. Published numbers are shown as hollow
    markers, and the teacher's accuracy as a dashed line.
    """
    import matplotlib as mpl  # noqa: PLC0415  # slow import, needed for plots only
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "dlkd"  # equal tables produce identical files
    pairs = list(dict.fromkeys(cell.pair for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    figure = Figure(figsize=(4 * len(pairs) + 1, 0.4 * len(methods) + 1.6), layout="constrained")
    panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for axes, pair in zip(panels, pairs, strict=True):
        pair_cells = [cell for cell in cells if cell.pair == pair]
        _plot_cells(axes, pair_cells, [methods.index(cell.method) for cell in pair_cells])
        if pair in teachers:
            axes.axvline(teachers[pair], linestyle="--", color="grey", label="teacher")
        axes.set(
            title=pair.replace("/", " → "),
            xlabel="top-1 (%)",
            yticks=range(len(methods)),
            yticklabels=methods,
        )
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize="small")
        axes.yaxis.set_inverted(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _plot_cells(axes: "Axes", cells: Sequence[TableCell], rows: Sequence[int]) -> None:
    means = [mean(cell.top1) for cell in cells]
    axes.plot(means, rows, "|", markersize=14, markeredgewidth=2, label="mean")
    seeds = [(top1, row) for cell, row in zip(cells, rows, strict=True) for top1 in cell.top1]
    axes.plot(*zip(*seeds, strict=True), "o", markersize=4, alpha=0.6, label="seed")
    sources = sorted({source for cell in cells for source in cell.published})
    for source, marker in zip(sources, "sD^", strict=False):
        published = [
            (cell.published[source], row)
            for cell, row in zip(cells, rows, strict=True)
            if source in cell.published
        ]
        axes.plot(*zip(*published, strict=True), marker, fillstyle="none", label=source)
