"""Debian's chromium as tests use it, and the watch that notices what a visitor's browser complains about."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from harness import LONGEST

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""The program, or None where it is not installed: the tests of this folder are then skipped."""

PATIENCE = int(LONGEST * 1000)
"""Milliseconds that Playwright waits for an awaited element before the test fails."""

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
    `CSP: ${event.effectiveDirective} blocks ${event.blockedURI} in ${event.sourceFile}:${event.lineNumber}`));
"""

LOADING = "Failed to load resource"
"""How chromium's console repeats an answer of 400 or more, or none: `Watch` judges the answer itself."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """One running chromium, with its sandbox; root cannot have one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """What went wrong in a page: errors of console and scripts, violations of the CSP, answers nobody expected.

    A test that provokes refusals names their statuses with `expect`; 0 stands for a request that got no answer.
    """

    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def expect(self, *statuses: int) -> None:
        """From now on these answers are what the test wants to see."""
        self.expected.update(statuses)

    def over(self, page: Page) -> None:
        """Watches this page until it closes."""
        page.add_init_script(TELL_VIOLATIONS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("response", self._response)
        page.on("requestfailed", self._failed)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(LOADING):
            self.complaints.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status} for {_address(response.request)}")

    def _failed(self, request: Request) -> None:
        """A request that the page itself gave up, such as a stream of changes at its end, is no failure."""
        if 0 not in self.expected and request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure} for {_address(request)}")


def _address(request: Request) -> str:
    parts = urlsplit(request.url)
    return f"{request.method} {parts.path}{'?' + parts.query if parts.query else ''}"
