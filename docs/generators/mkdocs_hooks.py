"""MkDocs hooks.

A line `<!-- generated: NAME ARGUMENTS -->` on a page is replaced by the output of the generator
with that name. Formulas become MathML, which browsers render without scripts or fonts from
another host.
"""

import re
from collections.abc import Callable
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.generators import (
    catalog_tables,
    diagrams,
    limit_tables,
    markdown_tables,
    method_tables,
    reference_tables,
    rest_reference,
    source_pages,
)

GENERATORS: dict[str, Callable[..., str]] = {
    "cifar-architectures": catalog_tables.cifar_architecture_table,
    "data-flow": diagrams.data_flow,
    "dataset-formats": catalog_tables.dataset_format_table,
    "evaluations": catalog_tables.evaluation_table,
    "exporters": catalog_tables.exporter_table,
    "http-errors": reference_tables.http_errors,
    "job-states": diagrams.job_states,
    "method": method_tables.method_details,
    "methods": method_tables.method_table,
    "other-architectures": catalog_tables.other_architectures,
    "rest": rest_reference.operations,
    "run-errors": reference_tables.run_errors,
    "schemas": rest_reference.schemas,
    "settings": reference_tables.settings_table,
    "table-from": markdown_tables.copy_table,
    "terms": method_tables.term_table,
    "upload-limits": limit_tables.upload_limits,
}
_PLACEHOLDER = re.compile(r"^<!-- generated: (\S+)(?: (.+))? -->$", re.MULTILINE)
_MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
# Code hosts render both notations as formulas, too.
_MATH_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE_MATH = re.compile(r"\$`([^`]+)`\$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in the docs folder.

    These are the README as the start page, the changelog, and the sources that pages link to.
    """
    root = Path(config.config_file_path).parent
    for path, text in source_pages.generate_pages(root, Path(config.docs_dir)).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs passes all arguments by name
    """Fill in the generated parts, convert formulas to MathML and rewrite links to source files."""
    if page.file.src_uri.startswith(source_pages.SOURCE_FOLDER):
        return markdown
    # The theme would load Mermaid from another host, so the site draws the diagram itself.
    markdown = _MERMAID.sub("<!-- generated: data-flow -->", markdown)
    markdown = _PLACEHOLDER.sub(_generate, markdown)
    return _render_formulas(source_pages.link_to_sources(markdown, page.file.src_uri))


def _generate(placeholder: re.Match[str]) -> str:
    name, arguments = placeholder.groups()
    if name not in GENERATORS:
        raise PluginError(f"There is no generator named {name!r}.")
    return GENERATORS[name](*(arguments or "").split())


def _render_formulas(markdown: str) -> str:
    markdown = _MATH_BLOCK.sub(
        lambda match: f'<div class="formula">{_to_mathml(match[1], "block")}</div>', markdown
    )
    # Markdown treats a line that begins with a block tag as HTML. <span> is not a block tag.
    return _INLINE_MATH.sub(
        lambda match: f"<span>{_to_mathml(match[1], 'inline')}</span>", markdown
    )


def _to_mathml(latex: str, display: str) -> str:
    return convert(" ".join(latex.split()), display=display).replace("\n", "")
