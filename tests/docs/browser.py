"""A real browser, and what it asked for and complained about."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page, sync_playwright

PATIENCE_MS = 30_000
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page, the addresses it asked for, and what its console says of errors."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def foreign(self, url: str) -> list[str]:
        """Returns the addresses that are not the service's."""
        own = (url, "data:", "blob:")
        return [each for each in self.requests if not each.startswith(own)]

    def hear(self, kind: str, text: str) -> None:
        """Takes a line of the console."""
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts Debian's Chromium, without a window."""
    executable = shutil.which("chromium")
    assert executable, "install Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser) -> Iterator[Visit]:
    """Opens an empty page, with an empty cache."""
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visit = Visit(page=page)
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("console", lambda line: visit.hear(line.type, line.text))
        yield visit
