"""A portal page in a browser, with error recording, axe checks and screenshots."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
)

VIEWPORTS = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
_TIMEOUT_MS = 60_000  # the machine trains, serves and renders at the same time
_LOCAL_SCHEMES = {"data", "blob"}
_DROP_SCRIPT = """([target, name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer });
    target.dispatchEvent(event);
  }
}"""
expect.set_options(timeout=_TIMEOUT_MS)


@dataclass
class PortalPage:
    """A browser page that shows the portal.

    `url` is the address of the portal. `errors` contains all errors that the developer tools would
    show, and all requests to other origins.
    """

    page: Page
    url: str
    key: str
    screenshot_folder: Path | None = None
    errors: list[str] = field(default_factory=list)
    expected_statuses: set[int] = field(default_factory=set)  # error statuses that the test causes
    allowed_origins: set[str] = field(default_factory=set)  # origins that pages may load from

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_TIMEOUT_MS)
        self.page.on("console", self._record_console_message)
        self.page.on("pageerror", lambda error: self._record(f"script: {error}"))
        self.page.on("requestfailed", self._record_failed_request)
        self.page.on("request", self._record_foreign_request)
        self.page.on("response", self._record_error_response)

    def _record(self, message: str) -> None:
        if not any(str(status) in message for status in self.expected_statuses):
            self.errors.append(message)

    def _record_console_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._record(f"console: {message.text}")

    def _record_failed_request(self, request: Request) -> None:
        if "ERR_ABORTED" not in str(request.failure):
            self._record(f"no response: {request.url}")

    def _record_foreign_request(self, request: Request) -> None:
        is_local = urlsplit(request.url).scheme in _LOCAL_SCHEMES
        if not is_local and not request.url.startswith((self.url, *self.allowed_origins)):
            self._record(f"another origin: {request.url}")

    def _record_error_response(self, response: Response) -> None:
        if response.status >= 400:
            self._record(f"{response.status}: {response.url}")

    def open(self, path: str) -> Locator:
        """Open a path in the portal, such as /jobs, and return the page's heading."""
        self.page.goto(f"{self.url}/#{path}")
        heading = self.page.locator("main h1")
        expect(heading).to_be_visible()
        return heading

    def sign_in(self, key: str | None = None) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("API key", exact=True).fill(key or self.key)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(self.page.get_by_role("link", name="Skip to content")).to_be_attached()

    def accessibility_violations(self) -> list[str]:
        """Run axe on the current page and return all violations, including minor ones."""
        results: dict[str, Any] = Axe().run(self.page)
        return [
            f"{violation['impact']} {violation['id']}: {violation['nodes'][0]['html'][:200]}"
            for violation in results["violations"]
        ]

    def take_screenshot(self, name: str) -> None:
        """Take a screenshot for the documentation if the tests run with --screenshots."""
        if self.screenshot_folder is not None:
            self.screenshot_folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.screenshot_folder / f"{name}.png", animations="disabled")


@contextmanager
def open_portal(
    browser: Browser,
    url: str,
    key: str,
    *,
    screenshot_folder: Path | None = None,
    allowed_origins: set[str] | None = None,
    **context_options: Any,
) -> Iterator[PortalPage]:
    """Open the portal in a new browser context. Assert at the end that no errors were recorded."""
    defaults: dict[str, Any] = {"viewport": VIEWPORTS["wide"], "reduced_motion": "reduce"}
    with browser.new_context(**(defaults | context_options)) as context:
        portal_page = PortalPage(
            context.new_page(),
            url,
            key,
            screenshot_folder,
            allowed_origins=allowed_origins or set(),
        )
        yield portal_page
        assert portal_page.errors == [], "\n".join(portal_page.errors)


def drop_file(page: Page, label: str, file: Path) -> None:
    """Drop a file on the drop zone with this label, like a user who drags it from the desktop."""
    target = page.locator(".drop", has_text=label).element_handle()
    content = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(_DROP_SCRIPT, [target, file.name, "application/octet-stream", content])
