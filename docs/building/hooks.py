"""MkDocs' hooks. A line `<!-- made: NAME ARGUMENTS -->` of a page becomes what the maker of that name writes."""

import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.building import architecture, errors, formulas, menu, methods, networks, parts, rest, settings, sources

MAKERS: dict[str, Callable[..., str]] = {
    "defaults": methods.defaults,
    "errors": errors.table,
    "evaluations": menu.evaluations,
    "exporters": menu.exporters,
    "flow": architecture.flow,
    "forms": menu.forms,
    "methods": methods.overview,
    "moves": architecture.moves,
    "networks": networks.table,
    "other_networks": networks.others,
    "part": parts.table,
    "refusals": errors.refusals,
    "rest": rest.operations,
    "schemas": rest.schemas,
    "settings": settings.table,
    "terms": methods.terms,
}
_MADE = re.compile(r"^<!-- made: (\S+)(?: (.+))? -->$", re.MULTILINE)
_MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are files of the repository: README as the first, the changelog, and sources that pages link to."""
    root = Path(config.config_file_path).parent
    for address, text in sources.pages(root, Path(config.docs_dir)).items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs passes all by name
    """The page with what is made for it, its formulas as MathML, and its links into the site."""
    if page.file.src_uri.startswith(sources.FOLDER):
        return markdown
    made = _MADE.sub(_make, _MERMAID.sub("<!-- made: flow -->", markdown))
    return formulas.rendered(sources.linked(made, page.file.src_uri))


def _make(found: re.Match[str]) -> str:
    name, arguments = found.groups()
    if name not in MAKERS:
        raise PluginError(f"There is no maker called {name!r}.")
    return MAKERS[name](*(arguments or "").split())
