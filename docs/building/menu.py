"""What the catalog offers beside methods and networks."""

from inspect import getdoc

from dlkd_core.catalog import EVALUATIONS, EXPORTERS
from dlkd_core.catalog.sources import SOURCES
from docs.building.tables import table


def exporters() -> str:
    """The formats of the finished student."""
    return table(
        ("`export`", "file", "what it is"), ((f"`{one.name}`", f"`{one.file}`", one.summary) for one in EXPORTERS.values())
    )


def forms() -> str:
    """The forms of data sets."""
    return table(("form", "what it is"), ((one.name.replace("_", " "), one.summary) for one in SOURCES.values()))


def evaluations() -> str:
    """The protocols that look at features."""
    rows = ((f"`{name}`", (getdoc(one) or "").partition("\n")[0], f"<{one.source}>") for name, one in EVALUATIONS.items())
    return table(("`evaluation`", "what it measures", "source"), rows)
