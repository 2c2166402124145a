"""Somebody with a browser: a page that remembers everything that went wrong on it, looks at it with axe, and takes pictures."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
_PATIENCE = 60_000  # milliseconds: two cores train, serve and draw at once
_LOCAL = {"data", "blob"}
_DROP = """([target, name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
  }
}"""
expect.set_options(timeout=_PATIENCE)


@dataclass
class Visitor:
    """A page of the portal at `url`. `faults` has what the developer tools would show in red, and foreign requests."""

    page: Page
    url: str
    key: str
    pictures: Path | None = None
    faults: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)  # statuses that the test provokes
    friends: set[str] = field(default_factory=set)  # other places that it may ask

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_PATIENCE)
        self.page.on("console", lambda said: self._note(said.type in {"error", "warning"}, f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self._note(wrong=True, what=f"script: {error}"))
        self.page.on(
            "requestfailed", lambda asked: self._note("ERR_ABORTED" not in str(asked.failure), f"no answer: {asked.url}")
        )
        self.page.on("request", lambda asked: self._note(self._foreign(asked.url), f"another host: {asked.url}"))
        self.page.on("response", lambda got: self._note(got.status >= 400, f"{got.status}: {got.url}"))

    def _note(self, wrong: bool, what: str) -> None:  # noqa: FBT001 - the first thing that is told
        if wrong and not any(str(status) in what for status in self.expected):
            self.faults.append(what)

    def _foreign(self, url: str) -> bool:
        return urlsplit(url).scheme not in _LOCAL and not url.startswith((self.url, *self.friends))

    def open(self, address: str) -> Locator:
        """The page at an address within the portal, such as /jobs; its heading."""
        self.page.goto(f"{self.url}/#{address}")
        heading = self.page.locator("main h1")
        expect(heading).to_be_visible()
        return heading

    def sign_in(self, key: str | None = None) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("Key", exact=True).fill(key or self.key)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(self.page.get_by_role("link", name="Skip to the page")).to_be_attached()

    def axe(self) -> list[str]:
        """What axe finds wrong on the page as it is, of whatever weight."""
        found: dict[str, Any] = Axe().run(self.page)
        return [f"{entry['impact']} {entry['id']}: {entry['nodes'][0]['html'][:200]}" for entry in found["violations"]]

    def picture(self, name: str) -> None:
        """A picture of the page for the documentation, where the tests were asked for pictures."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")


@contextmanager
def visiting(
    browser: Browser, url: str, key: str, *, pictures: Path | None = None, friends: set[str] | None = None, **context: Any
) -> Iterator[Visitor]:
    """A visitor with a browser of their own, whose page must have had no fault in the end."""
    with browser.new_context(**({"viewport": SIZES["wide"], "reduced_motion": "reduce"} | context)) as opened:
        visitor = Visitor(opened.new_page(), url, key, pictures, friends=friends or set())
        yield visitor
        assert visitor.faults == [], "\n".join(visitor.faults)


def drop(page: Page, words: str, file: Path) -> None:
    """The file dragged from the desktop onto the place with these words."""
    target = page.locator(".drop", has_text=words).element_handle()
    content = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(_DROP, [target, file.name, "application/octet-stream", content])
