"""How fast the dashboard is there, and how smooth it stays when an album is dropped on it.

load    bytes of the first load as transferred, and the time from the navigation until the page's scripts have run
        (the language is marked, everything can be pressed), with the processor throttled four times; medians of
        five visits with an empty cache, on loopback.
album   200 photos of 1200 by 900 dropped at once, while somebody scrolls: mean and longest frame, frames over
        50 ms, and the heap after a collection. The service is in mock mode without delays, so that it leaves the
        processor to the browser.

Run it with the project's environment, extra `dev`: `.venv/bin/python benchmarks/dashboard.py`. It needs Chromium.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, Response, sync_playwright
from skimage import data

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.browser_fixtures import QUIET, executable  # noqa: E402 (the path has to be known first)
from tests.functional.dashboard_page import expect_ready, open_dashboard  # noqa: E402
from tests.functional.server import Server  # noqa: E402

VISITS = 5
SLOWER = 4
PHOTOS = 200
SIZE = (1200, 900)
SCROLLED_SECONDS = 15
WHEEL_PIXELS = 120
LONG_MS = 50
MOCK_MODE = {
    "REPLICATE_API_TOKEN": "mock_token_for_demo",
    "REPLICATE_MOCK_DELAY_MIN": "0",
    "REPLICATE_MOCK_DELAY_MAX": "0",
    "REPLICATE_MOCK_FAILURE_RATE": "0",
}

READY = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('[data-language][aria-pressed=true]')) return;
  observer.disconnect();
  globalThis.readyAt = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['aria-pressed'] });
"""
FRAMES = """
globalThis.frames_ms = [];
let before = performance.now();
const each = (now) => {
  globalThis.frames_ms.push(now - before);
  before = now;
  requestAnimationFrame(each);
};
requestAnimationFrame(each);
"""


def visit(browser: Browser, url: str) -> tuple[int, int, float]:
    """Requests, bytes with headers, and milliseconds until the page can be used."""
    context = browser.new_context(service_workers="block")
    page, answers = context.new_page(), list[Response]()
    page.on("response", answers.append)
    page.add_init_script(READY)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url)
    expect_ready(page)
    ready: float = page.evaluate("readyAt")
    page.wait_for_load_state("networkidle")
    files = [answer.request.sizes() for answer in answers if "/dashboard/" in answer.url]
    context.close()
    return len(files), sum(one["responseBodySize"] + one["responseHeadersSize"] for one in files), ready


def album(page: Page, server: Server, folder: Path) -> None:
    open_dashboard(page, server)
    page.evaluate(FRAMES)
    page.locator("#file-input").set_input_files(photos(folder))
    page.mouse.move(400, 500)
    until = time.monotonic() + SCROLLED_SECONDS
    while time.monotonic() < until:
        for pixels in [WHEEL_PIXELS] * 12 + [-WHEEL_PIXELS] * 8:
            page.mouse.wheel(0, pixels)
    frames: list[float] = page.evaluate("frames_ms")
    sent = page.locator(".card:not([data-state=waiting]):not([data-state=uploading])").count()
    print(
        f"album: {sent} of {PHOTOS} sent meanwhile, {len(frames)} frames, mean {statistics.mean(frames):.1f} ms, "
    )
    print(f"       longest {max(frames):.0f} ms, {sum(one > LONG_MS for one in frames)} over {LONG_MS} ms")
    print(f"       heap {heap(page.context.new_cdp_session(page)) / 1e6:.1f} MB after a collection")


def photos(folder: Path) -> list[Path]:
    picture: Any = data.coffee()  # type: ignore[no-untyped-call]
    resized = Image.fromarray(picture).resize(SIZE)
    paths = [folder / f"{index:03}.jpg" for index in range(PHOTOS)]
    for path in paths:
        resized.save(path, quality=88)
    return paths


def heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    used: float = told["JSHeapUsedSize"]
    return used


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "service", **MOCK_MODE) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        visits = [visit(browser, f"{server.url}/dashboard/") for _ in range(VISITS)]
        count, size, _ = visits[0]
        times = sorted(ready for *_, ready in visits)
        print(f"load:  {count} files, {size} bytes; ready after {statistics.median(times):.0f} ms")
        print(f"       ({times[0]:.0f} to {times[-1]:.0f}), processor throttled {SLOWER} times")
        context = browser.new_context(viewport={"width": 1280, "height": 850}, service_workers="block")
        album(context.new_page(), server, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
