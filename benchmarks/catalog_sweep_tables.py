"""Tables of the catalog sweep in `docs/architectures.md`."""

import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.catalog.architectures.alike_networks import find_alike_networks
from dlkd_core.catalog.architectures.timm_architectures import TIMM_PREFIX
from docs.generators.markdown_tables import markdown_table

PAGE = Path("docs/architectures.md")
_GENERATED = re.compile(r"(<!-- begin: sweep -->\n).*(<!-- end: sweep -->)", re.DOTALL)
TOLERANCE = 1e-4


@dataclass(frozen=True)
class SweepResult:
    """What became of one network.

    Attributes:
        name: Name in the catalog.
        recognized: Architecture that its weights were recognized as, or None if they were refused.
        is_listed: Whether it computes as the recognized architecture or as one of the alternatives.
        difference: Relative difference of the logits, or None if the network was not run.
        error: Error message, if there is one.
    """

    name: str
    recognized: str | None
    is_listed: bool
    difference: float | None
    error: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the network is recognized and its logits are equal, if it was run."""
        return self.is_listed and (self.difference is None or self.difference < TOLERANCE)

    @property
    def family(self) -> str:
        """Family for the summary: that of the catalog, or the first part of a name of timm."""
        if self.name.startswith(TIMM_PREFIX):
            return TIMM_PREFIX + re.split(r"[_\d]", self.name.removeprefix(TIMM_PREFIX))[0]
        return ARCHITECTURES[self.name].family


def write_tables(results: Sequence[SweepResult]) -> None:
    """Replace the generated part of the page."""
    text = "\n\n".join([_summary(results), _families(results), _exceptions(results), _alike()])
    page = PAGE.read_text()
    PAGE.write_text(_GENERATED.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page))


def _summary(results: Sequence[SweepResult]) -> str:
    run = sum(result.difference is not None for result in results)
    return (
        f"{len(results)} of {len(ARCHITECTURES)} networks were checked with `make catalog`, the"
        f" smallest first, on {platform.machine()} with {platform.python_implementation()}"
        f" {platform.python_version()}. {run} of them were run. {sum(r.is_ok for r in results)} are"
        " recognized as themselves, as a network that computes the same, or with themselves among"
        " the alternatives, and their logits are equal if they were run."
    )


def _families(results: Sequence[SweepResult]) -> str:
    families = defaultdict(list)
    for result in results:
        families[result.family].append(result)
    rows = [(name, *_count(members)) for name, members in families.items() if len(members) > 2]
    small = [result for members in families.values() if len(members) <= 2 for result in members]
    rows.sort(key=lambda row: -int(row[1]))
    rows.append(("families of one or two", *_count(small)))
    return markdown_table(("family", "networks", "run", "as expected", "with alternatives"), rows)


def _count(results: Sequence[SweepResult]) -> tuple[str, ...]:
    counts = (
        len(results),
        sum(result.difference is not None for result in results),
        sum(result.is_ok for result in results),
        sum(len(find_alike_networks(result.name)) > 1 for result in results),
    )
    return tuple(map(str, counts))


def _exceptions(results: Iterable[SweepResult]) -> str:
    rows = [
        (f"`{result.name}`", f"`{result.recognized or '-'}`", _describe(result))
        for result in results
        if not result.is_ok
    ]
    if not rows:
        return "There are no exceptions."
    return "Exceptions:\n\n" + markdown_table(("network", "recognized as", "what happened"), rows)


def _describe(result: SweepResult) -> str:
    if result.error:
        return result.error[:200]
    if not result.is_listed:
        return "taken for another network"
    return f"the logits differ by {result.difference:.1e}"


def _alike() -> str:
    groups = {find_alike_networks(name) for name in ARCHITECTURES}
    different = sorted(group for group in groups if len(group) > 1)
    sizes = Counter(map(len, different))
    rows = [(", ".join(f"`{names[0]}`" for names in group),) for group in different]
    return (
        f"## Networks that differ only in how they compute\n\n{len(rows)} groups:"
        f" {', '.join(f'{count} of {size}' for size, count in sorted(sizes.items()))} networks.\n\n"
        + markdown_table(("networks with the same weight names and shapes",), rows)
    )
