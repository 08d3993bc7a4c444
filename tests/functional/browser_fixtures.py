"""Chromium for tests of web pages: `browser`, and `page`, which fails if the console complains."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome")
BLOCKED = "Service Worker registration blocked by Playwright"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str:
    found = os.environ.get("RELUME_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    missing = f"no Chromium: set RELUME_TEST_CHROMIUM, or install one of {', '.join(NAMES)}"
    if os.environ.get("RELUME_REQUIRE_PEERS") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


# A module, not the session: the synchronous API keeps an event loop marked as running, and tests
# that are coroutines could not start one of their own beside it.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = executable()
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield chromium
        chromium.close()


class Console:
    """What the page complained of. Chromium also notes each failed request; a test names those it wants."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: list[str] = []

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and BLOCKED not in message.text:
            self.complaints.append(message.text)

    def expect(self, failed_request: str) -> None:
        """Allow `Failed to load resource` for this status ("415") or network error ("ERR_FAILED")."""
        self.expected.append(rf"Failed to load resource: .*\b{failed_request}\b")

    @property
    def unexpected(self) -> list[str]:
        return [said for said in self.complaints if not any(re.search(one, said) for one in self.expected)]


@pytest.fixture
def console() -> Console:
    return Console()


@contextmanager
def opened_page(browser: Browser, console: Console) -> Iterator[Page]:
    """A tab of its own. In the end, what the console complained of without being expected is a failure."""
    # Requests that pass through a service worker are out of `page.route`'s reach.
    context = browser.new_context(
        locale="en-US", viewport={"width": 1280, "height": 850}, service_workers="block"
    )
    opened = context.new_page()
    opened.on("console", console.heard)
    opened.on("pageerror", lambda error: console.complaints.append(str(error)))
    yield opened
    context.close()
    assert not console.unexpected, f"the console complained: {console.unexpected}"


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    with opened_page(browser, console) as opened:
        yield opened
