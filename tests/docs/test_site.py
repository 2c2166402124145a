"""Tests for the documentation site.

The site must build without warnings, load nothing from another host, and agree with the code.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dlkd_core.catalog.architectures.cifar_architectures import CIFAR_ARCHITECTURES
from dlkd_core.catalog.loss_params import TERMS
from dlkd_core.catalog.methods import METHODS
from tests.docs.code_blocks import DOCS, ROOT
from tools.cli_reference import PAGE as COMMAND_PAGE
from tools.cli_reference import render_page

LOADING_ATTRIBUTES = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "use": "href",
}
SCREENSHOTS = re.findall(r"!\[[^\]]+\]\((portal/[a-z-]+\.png)\)", (DOCS / "portal.md").read_text())
MAX_SCREENSHOT_BYTES = 150_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site and return the output folder. Broken links and anchors fail the build."""
    folder = tmp_path_factory.mktemp("site")
    # --quiet is not passed, because --strict does not count warnings that --quiet suppresses.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def read_page(site: Path, page: str) -> str:
    return (site / f"{page}.html").read_text()


class ExternalLoads(HTMLParser):
    """HTML parser that collects the URLs that a browser loads together with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "link" and attributes.get("rel") in {"canonical", "next", "prev"}:
            return
        if url := attributes.get(LOADING_ATTRIBUTES.get(tag, "")):
            self.urls.append(url)


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages, styles = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    assert pages
    assert styles
    for page in pages:
        text = page.read_text()
        loads = ExternalLoads()
        loads.feed(text)
        assert loads.urls
        assert [url for url in loads.urls if re.match(r"(?:[a-z]+:)?//", url)] == [], page
        assert 'class="mermaid"' not in text  # the theme would load a script for this class
    for style in styles:
        external_urls = re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text())
        assert external_urls == [], style


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_section_with_its_formula_and_when_to_use_it(
    site: Path, name: str
) -> None:
    _, heading, rest = read_page(site, "methods").partition(f'<h3 id="{name}">')
    section = re.split(r"<h[23] ", rest)[0]
    assert heading
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in section
    assert "<strong>When to use:</strong>" in section
    assert METHODS[name].source in section
    for parameter in METHODS[name].model_fields.keys() - {"name", "terms"}:
        assert f"<code>{parameter}</code>" in section


def test_formulas_and_placeholders_are_rendered(site: Path) -> None:
    for page in site.glob("*.html"):
        assert "generated: " not in page.read_text()
    for source in ("$`", "```", "\\mathcal", "\\frac"):
        assert source not in read_page(site, "methods")


def test_all_terms_and_networks_have_a_row(site: Path) -> None:
    methods, students = read_page(site, "methods"), read_page(site, "students")
    assert [name for name in TERMS if f"<td><code>{name}</code></td>" not in methods] == []
    assert [
        entry.name for entry in CIFAR_ARCHITECTURES if f"<code>{entry.name}</code>" not in students
    ] == []
    assert "<td>269,722</td>" not in students  # resnet20 with parameter-free shortcuts
    assert "<td>278,324</td>\n<td>40.8</td>" in students  # resnet20 as published


def test_settings_match_env_example(site: Path) -> None:
    template = (ROOT / ".env.example").read_text()
    expected = re.findall(r"^# (DLKD_[A-Z_]+)=", template, re.MULTILINE)
    listed = re.findall(r"<td><code>(DLKD_[A-Z_]+)</code></td>", read_page(site, "settings"))
    assert set(listed) == set(expected)


def test_command_page_is_up_to_date() -> None:
    assert COMMAND_PAGE.read_text() == render_page(), "docs/command.md is outdated: run `make sync`"


def test_portal_page_screenshots_exist_and_are_small() -> None:
    assert len(SCREENSHOTS) >= 4
    files = {path.relative_to(DOCS).as_posix() for path in (DOCS / "portal").iterdir()}
    assert files == set(SCREENSHOTS)
    sizes = {name: (DOCS / name).stat().st_size for name in SCREENSHOTS}
    assert {name: size for name, size in sizes.items() if size > MAX_SCREENSHOT_BYTES} == {}
