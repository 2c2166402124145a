"""Parts of one page on another."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent
_TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)


def table(page: str, *heading: str) -> str:
    """The first table under the heading of the page."""
    _, found, rest = (DOCS / page).read_text().partition(f"## {' '.join(heading)}\n")
    first = _TABLE.search(rest.split("\n## ")[0])
    if not found or first is None:
        raise LookupError(f"{page} has no table under {' '.join(heading)!r}.")
    return first[0]
