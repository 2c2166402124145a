"""The portal: how its files are served, and which rules its source code follows."""

import re
from hashlib import sha256

import pytest
from fastapi.testclient import TestClient

from api.routes.portal import PORTAL_DIR, PORTAL_HEADERS

PORTAL_FILES = sorted(
    path.relative_to(PORTAL_DIR).as_posix() for path in PORTAL_DIR.rglob("*") if path.is_file()
)
OWN_FILES = [
    name
    for name in PORTAL_FILES
    if name.endswith((".js", ".css", ".html", ".svg")) and not name.startswith("vendor/")
]
MAX_LINES = 300
MAX_COLUMNS = 100
# Folders that a module may import from, keyed by the module's folder. Other folders are
# unrestricted.
ALLOWED_IMPORTS = {"lib": {"lib", "vendor"}, "ui": {"lib", "ui", "vendor"}}


def read_text(name: str) -> str:
    return (PORTAL_DIR / name).read_text()


def test_page_is_served_without_a_key_and_with_a_strict_policy(
    anonymous_client: TestClient,
) -> None:
    answer = anonymous_client.get("/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", PORTAL_FILES)
def test_every_file_is_served_with_its_media_type(anonymous_client: TestClient, name: str) -> None:
    answer = anonymous_client.get(f"/portal/{name}")
    assert answer.status_code == 200
    assert answer.content == (PORTAL_DIR / name).read_bytes()
    assert answer.headers["Content-Type"].split(";")[0] in {
        "text/javascript",
        "text/css",
        "text/html",
        "image/svg+xml",
        "text/plain",
    }
    assert answer.headers["Content-Encoding"] == "gzip"


def test_cached_file_is_not_sent_again(anonymous_client: TestClient) -> None:
    first = anonymous_client.get("/portal/main.js")
    cached = anonymous_client.get(
        "/portal/main.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    plain = anonymous_client.get("/portal/main.js", headers={"Accept-Encoding": "identity"})
    assert (cached.status_code, cached.content) == (304, b"")
    assert plain.content == first.content
    assert plain.headers["ETag"] != first.headers["ETag"]


def test_plotly_is_served_from_its_python_package(anonymous_client: TestClient) -> None:
    answer = anonymous_client.get("/portal/vendor/plotly.min.js")
    assert answer.status_code == 200
    assert b"plotly.js v" in answer.content[:200]
    assert not (PORTAL_DIR / "vendor" / "plotly.min.js").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../app.py",
        "..%2Fapp.py",
        "vendor/../../app.py",
        "%2Fetc%2Fpasswd",
        "nothing.js",
        "models",
    ],
)
def test_other_paths_are_not_found(anonymous_client: TestClient, name: str) -> None:
    assert anonymous_client.get(f"/portal/{name}").status_code == 404


def test_vendored_files_match_their_digests() -> None:
    digests = re.findall(
        r"^(\S+)\n(?:  .*\n)*?  sha256: ([0-9a-f]{64})",
        read_text("vendor/VENDORED.txt"),
        re.MULTILINE,
    )
    assert digests == [
        ("preact.js", sha256((PORTAL_DIR / "vendor" / "preact.js").read_bytes()).hexdigest())
    ]
    assert "Apache License" in read_text("vendor/LICENSE.txt")
    assert {name for name in PORTAL_FILES if name.startswith("vendor/")} == {
        "vendor/preact.js",
        "vendor/VENDORED.txt",
        "vendor/LICENSE.txt",
    }


@pytest.mark.parametrize("name", OWN_FILES)
def test_no_file_contacts_another_host_or_injects_markup(name: str) -> None:
    text = (
        read_text(name)
        .replace("http://www.w3.org/2000/svg", "")
        .replace("https://example.com/", "")
    )
    assert re.findall(r"https?://|innerHTML|\beval\(|new Function", text) == []


@pytest.mark.parametrize("name", OWN_FILES)
def test_files_stay_within_300_lines_of_100_columns(name: str) -> None:
    lines = read_text(name).splitlines()
    assert len(lines) <= MAX_LINES
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []


@pytest.mark.parametrize("name", [name for name in OWN_FILES if name.endswith(".js")])
def test_imports_exist_and_respect_the_layers(name: str) -> None:
    folder = name.split("/", maxsplit=1)[0]
    for specifier in re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", read_text(name)):
        target = (PORTAL_DIR / name).parent.joinpath(specifier).resolve()
        assert target.is_file(), specifier
        imported_folder = target.relative_to(PORTAL_DIR).parts[0]
        if folder in ALLOWED_IMPORTS:
            assert imported_folder in ALLOWED_IMPORTS[folder], specifier


def test_page_links_every_stylesheet() -> None:
    linked = re.findall(r'href="/portal/(css/[^"]+)"', read_text("index.html"))
    assert sorted(linked) == [name for name in OWN_FILES if name.endswith(".css")]


def test_colors_are_defined_only_by_the_themes() -> None:
    stylesheets = [name for name in OWN_FILES if name.endswith(".css") and name != "css/base.css"]
    assert {
        name: colors
        for name in stylesheets
        if (colors := re.findall(r"#[0-9a-fA-F]{3,8}\b", read_text(name)))
    } == {}


def test_login_options_are_public(anonymous_client: TestClient) -> None:
    answer = anonymous_client.get("/login")
    assert answer.json().keys() == {"signed_in", "oidc", "version"}
    assert answer.json()["signed_in"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    assert PORTAL_HEADERS["Cache-Control"] == "no-cache"
