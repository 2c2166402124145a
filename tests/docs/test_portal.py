"""docs/portal.md: its pictures are there, and small."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = re.findall(r"!\[[^\]]+\]\((portal/[a-z-]+\.png)\)", (DOCS / "portal.md").read_text())


def test_its_pictures_are_there_and_small_and_no_others() -> None:
    assert len(PICTURES) >= 4
    assert {path.relative_to(DOCS).as_posix() for path in (DOCS / "portal").iterdir()} == set(PICTURES)
    assert {name: size for name in PICTURES if (size := (DOCS / name).stat().st_size) > 150_000} == {}
