"""Site pages that show repository files.

The README and the changelog become pages, and so does every source file to which a page links.
"""

import posixpath
import re
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
_ROOT_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
SOURCE_FOLDER = "source/"
_LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".example": "ini", ".toml": "toml"}
_FRONT_MATTER = "---\nsearch:\n  exclude: true\nhide: [navigation]\n---\n"
ROOT = Path(__file__).resolve().parents[2]


def generate_pages(root: Path, docs: Path) -> dict[str, str]:
    """Return the text of each page that is not a file in `docs`, keyed by its path in the site."""
    pages = {
        page: rewrite_links((root / file).read_text(), file, page)
        for file, page in _ROOT_PAGES.items()
    }
    linking_files = {file: root / file for file in _ROOT_PAGES}
    linking_files |= {f"docs/{path.name}": path for path in sorted(docs.glob("*.md"))}
    for file, path in linking_files.items():
        for link in _LINK.findall(path.read_text()):
            target = _resolve(link, file)
            page = _page_path(target)
            if page.startswith(SOURCE_FOLDER) and page not in pages:
                pages[page] = _render_source(root, target)
    return pages


def link_to_sources(markdown: str, page: str) -> str:
    """Return the text of a `docs` page. Links to repository files lead to those files' pages."""
    if page in _ROOT_PAGES.values():
        return markdown
    return rewrite_links(markdown, f"docs/{page}", page)


def rewrite_links(markdown: str, file: str, page: str) -> str:
    """Return the text of a repository file with its links rewritten for the site.

    Args:
        markdown: Text of the file.
        file: Path of the file in the repository.
        page: Path of the file's page in the site.
    """

    def rewrite(link: re.Match[str]) -> str:
        target = _resolve(link[1], file)
        if not (ROOT / target).exists():
            return link[1]  # a generated page or a broken link; MkDocs reports the latter
        return posixpath.relpath(_page_path(target), posixpath.dirname(page) or ".")

    return _LINK.sub(rewrite, markdown)


def _resolve(link: str, file: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), link))


def _page_path(target: str) -> str:
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if not (ROOT / target).exists():
        return target
    return _ROOT_PAGES.get(target, _source_page_path(target))


def _source_page_path(target: str) -> str:
    """Return the path of a source file's page.

    A leading dot is removed, because MkDocs skips dotfiles.
    """
    folder, file = posixpath.split(target)
    return posixpath.join(SOURCE_FOLDER, folder, f"{file.removeprefix('.')}.md")


def _render_source(root: Path, target: str) -> str:
    """Return a file, or the files directly inside a folder, as code blocks."""
    path = root / target
    files = sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
    blocks = []
    for file in files:
        language = _LANGUAGES.get(file.suffix, "text")
        title = file.relative_to(root)
        blocks.append(f'`````{language} title="{title}"\n{file.read_text()}`````')
    return f"{_FRONT_MATTER}# {target}\n\n" + "\n\n".join(blocks)
