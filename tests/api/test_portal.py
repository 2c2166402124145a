"""The portal's files: what is handed out, with which headers, and that nothing in them asks another host."""

import re
from hashlib import sha256

import pytest
from fastapi.testclient import TestClient

from api.routes.portal import FOLDER, HEADERS

NAMES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
OURS = [name for name in NAMES if name.endswith((".js", ".css", ".html", ".svg")) and not name.startswith("vendor/")]
LONGEST = 300


def text(name: str) -> str:
    return (FOLDER / name).read_text()


def test_the_page_comes_without_a_key_and_under_a_strict_policy(stranger: TestClient) -> None:
    answer = stranger.get("/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_handed_out_with_its_type(stranger: TestClient, name: str) -> None:
    answer = stranger.get(f"/portal/{name}")
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["Content-Type"].split(";")[0] in {
        "text/javascript",
        "text/css",
        "text/html",
        "image/svg+xml",
        "text/plain",
    }
    assert answer.headers["Content-Encoding"] == "gzip"


def test_a_file_that_a_browser_has_is_not_sent_again(stranger: TestClient) -> None:
    first = stranger.get("/portal/main.js")
    again = stranger.get("/portal/main.js", headers={"If-None-Match": first.headers["ETag"]})
    plain = stranger.get("/portal/main.js", headers={"Accept-Encoding": "identity"})
    assert (again.status_code, again.content) == (304, b"")
    assert plain.content == first.content
    assert plain.headers["ETag"] != first.headers["ETag"]


def test_plotly_is_the_one_of_its_package(stranger: TestClient) -> None:
    answer = stranger.get("/portal/vendor/plotly.min.js")
    assert answer.status_code == 200
    assert b"plotly.js v" in answer.content[:200]
    assert not (FOLDER / "vendor" / "plotly.min.js").exists()


@pytest.mark.parametrize(
    "name", ["", "../app.py", "..%2Fapp.py", "vendor/../../app.py", "%2Fetc%2Fpasswd", "nothing.js", "pages"]
)
def test_nothing_else_is_handed_out(stranger: TestClient, name: str) -> None:
    assert stranger.get(f"/portal/{name}").status_code == 404


def test_what_is_vendored_is_what_it_says() -> None:
    told = re.findall(r"^(\S+)\n(?:  .*\n)*?  sha256: ([0-9a-f]{64})", text("vendor/VENDORED.txt"), re.MULTILINE)
    assert told == [("preact.js", sha256((FOLDER / "vendor" / "preact.js").read_bytes()).hexdigest())]
    assert "Apache License" in text("vendor/LICENSE.txt")
    assert {name for name in NAMES if name.startswith("vendor/")} == {
        "vendor/preact.js",
        "vendor/VENDORED.txt",
        "vendor/LICENSE.txt",
    }


@pytest.mark.parametrize("name", OURS)
def test_no_file_names_another_host_or_carries_markup_of_strangers(name: str) -> None:
    found = text(name).replace("http://www.w3.org/2000/svg", "").replace("https://example.com/", "")
    assert re.findall(r"https?://|innerHTML|\beval\(|new Function", found) == []


@pytest.mark.parametrize("name", OURS)
def test_files_stay_within_300_lines(name: str) -> None:
    assert len(text(name).splitlines()) <= LONGEST


@pytest.mark.parametrize("name", [name for name in OURS if name.endswith(".js")])
def test_modules_import_what_is_there(name: str) -> None:
    for target in re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", text(name)):
        assert (FOLDER / name).parent.joinpath(target).resolve().is_file(), target


def test_colours_are_the_themes_alone() -> None:
    sheets = [name for name in OURS if name.endswith(".css") and name != "css/base.css"]
    assert {name: found for name in sheets if (found := re.findall(r"#[0-9a-fA-F]{3,8}\b", text(name)))} == {}


def test_before_signing_in_the_service_tells_how_one_can(stranger: TestClient) -> None:
    answer = stranger.get("/login")
    assert answer.json().keys() == {"signed_in", "oidc", "version"}
    assert answer.json()["signed_in"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    assert HEADERS["Cache-Control"] == "no-cache"
