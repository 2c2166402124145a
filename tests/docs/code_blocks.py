"""Reads fenced code blocks from the Markdown pages of the documentation."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
_CODE_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class CodeBlock(NamedTuple):
    """A code block, with the language and title from the opening fence."""

    language: str
    title: str
    text: str


def code_blocks(page: Path, language: str | None = None) -> list[CodeBlock]:
    """Return the code blocks of a page in order. If `language` is given, skip all others."""
    blocks = [CodeBlock(*groups) for groups in _CODE_FENCE.findall(page.read_text())]
    return [block for block in blocks if language in {None, block.language}]
