"""The site is built without a warning, comes whole from its own files, and says what the code does."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dlkd_core.catalog.methods import METHODS
from dlkd_core.catalog.paper import PAPER
from dlkd_core.catalog.terms import TERMS
from tests.docs.blocks import ROOT

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data", "use": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; links and anchors that lead nowhere are warnings, and warnings end the build."""
    folder = tmp_path_factory.mktemp("site")
    # Never with --quiet: it silences the warnings before --strict counts them.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def text(site: Path, page: str) -> str:
    return (site / f"{page}.html").read_text()


class Loads(HTMLParser):
    """What a page makes a browser fetch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in {"canonical", "next", "prev"}:
            return
        self.found += [value for value in [given.get(LOADED.get(tag, ""))] if value]


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages, styles = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    assert pages
    assert styles
    for page in pages:
        reader = Loads()
        reader.feed(page.read_text())
        assert reader.found
        assert [address for address in reader.found if re.match(r"(?:[a-z]+:)?//", address)] == [], page
        assert 'class="mermaid"' not in page.read_text()  # the theme would fetch a script for it
    for style in styles:
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text()) == [], style


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_section_with_its_formula_and_when_to_use_it(site: Path, name: str) -> None:
    _, found, rest = text(site, "methods").partition(f'<h3 id="{name}">')
    section = re.split(r"<h[23] ", rest)[0]
    assert found
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in section
    assert "<strong>When:</strong>" in section
    assert METHODS[name].source in section
    for parameter in METHODS[name].model_fields.keys() - {"name", "terms"}:
        assert f"<code>{parameter}</code>" in section


def test_formulas_are_drawn_and_nothing_that_is_made_is_left_out(site: Path) -> None:
    for page in site.glob("*.html"):
        assert "made: " not in page.read_text()
    for left in ("$`", "```", "\\mathcal", "\\frac"):
        assert left not in text(site, "methods")


def test_all_terms_and_networks_have_a_row(site: Path) -> None:
    assert [name for name in TERMS if f"<td><code>{name}</code></td>" not in text(site, "methods")] == []
    assert [entry.name for entry in PAPER if f"<code>{entry.name}</code>" not in text(site, "students")] == []
    assert "<td>269,722</td>" not in text(site, "students")  # the table's networks have convolutions as shortcuts
    assert "<td>278,324</td>\n<td>40.8</td>" in text(site, "students")  # resnet20, as published


def test_the_settings_are_those_of_the_template(site: Path) -> None:
    template = re.findall(r"^# (DLKD_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(re.findall(r"<td><code>(DLKD_[A-Z_]+)</code></td>", text(site, "settings"))) == set(template)
