"""Files of the repository as pages: README is the first, and what pages link to beside the documentation has a page, too."""

import posixpath
import re
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
FOLDER = "source/"
_LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".example": "ini", ".toml": "toml"}
_HEAD = "---\nsearch:\n  exclude: true\nhide: [navigation]\n---\n"
ROOT = Path(__file__).resolve().parents[2]


def pages(root: Path, docs: Path) -> dict[str, str]:
    """The text of each page that is no file of `docs`, by its address."""
    found = {page: relinked((root / file).read_text(), file, page) for file, page in _PAGES.items()}
    texts = [(root / file).read_text() for file in _PAGES] + [path.read_text() for path in sorted(docs.glob("*.md"))]
    bases = [*_PAGES, *("docs/any.md" for _ in docs.glob("*.md"))]
    for text, base in zip(texts, bases, strict=True):
        for target in _LINK.findall(text):
            name = _resolved(target, base)
            page = _page_of(name)
            if page.startswith(FOLDER) and page not in found:
                found[page] = _shown(root, name)
    return found


def linked(markdown: str, page: str) -> str:
    """A page of `docs` with its links into the repository led to the pages of those files."""
    return markdown if page in _PAGES.values() else relinked(markdown, f"docs/{page}", page)


def relinked(markdown: str, file: str, page: str) -> str:
    """The file's text for that page of the site."""

    def led(found: re.Match[str]) -> str:
        target = _resolved(found[1], file)
        if not (ROOT / target).exists():
            return found[1]  # a page that is made, or a broken link: MkDocs says which
        return posixpath.relpath(_page_of(target), posixpath.dirname(page) or ".")

    return _LINK.sub(led, markdown)


def _resolved(target: str, file: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), target))


def _page_of(target: str) -> str:
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return _PAGES.get(target, _shown_at(target)) if (ROOT / target).exists() else target


def _shown_at(name: str) -> str:
    """Where a source's page is; MkDocs leaves out names that begin with a dot."""
    folder, file = posixpath.split(name)
    return posixpath.join(FOLDER, folder, f"{file.removeprefix('.')}.md")


def _shown(root: Path, name: str) -> str:
    """A file, or the files right in a folder, as code."""
    path = root / name
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    blocks = (
        f'`````{_LANGUAGES.get(one.suffix, "text")} title="{one.relative_to(root)}"\n{one.read_text()}`````' for one in files
    )
    return f"{_HEAD}# {name}\n\n" + "\n\n".join(blocks)
