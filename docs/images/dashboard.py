"""Makes dashboard-start.png and dashboard-phone.png: the real dashboard, with aged public-domain photos.

Run with the project's environment: `.venv/bin/python docs/images/dashboard.py` (needs the `dev` extra and Chromium).
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from before_after import aged
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect, sync_playwright
from skimage import data

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent.parent))

from tests.functional.browser_fixtures import QUIET, executable  # noqa: E402 (the path has to be known first)
from tests.functional.dashboard_page import card, expect_state, open_dashboard  # noqa: E402
from tests.functional.server import Server  # noqa: E402

COLOURS = 256
DRAWN_MS = 800


def photos() -> list[FilePayload]:
    """NASA's portrait, and two photos that their authors gave away (CC0)."""
    portrait: Any = data.astronaut()  # type: ignore[no-untyped-call]
    cup: Any = data.coffee()  # type: ignore[no-untyped-call]
    cat: Any = data.chelsea()  # type: ignore[no-untyped-call]
    shown = {"eileen-1991.jpg": portrait, "kitchen-table.jpg": cup[:, 80:560], "our-cat.jpg": cat}
    return [{"name": name, "mimeType": "image/jpeg", "buffer": old(photo)} for name, photo in shown.items()]


def old(photo: Any) -> bytes:
    jpeg = io.BytesIO()
    Image.fromarray(aged(np.ascontiguousarray(photo))).save(jpeg, "JPEG", quality=92)
    return jpeg.getvalue()


def save(page: Page, name: str) -> None:
    page.wait_for_timeout(DRAWN_MS)
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable(), args=list(QUIET))
        page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 930})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        open_dashboard(page, server)
        page.get_by_text("Options", exact=True).click()
        page.get_by_label("Strength").press("End")
        page.get_by_text("Options", exact=True).click()
        shown = photos()
        page.locator("#file-input").set_input_files(shown)
        for photo in shown:
            expect_state(card(page, photo["name"]), "done")
        page.mouse.move(0, 0)
        save(page, "dashboard-start.png")

        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        card(page, shown[0]["name"]).locator("[data-action=zoom]").click()
        expect(page.locator("#viewer")).to_be_visible()
        page.locator("#viewer [data-part=facts]").click()
        save(page, "dashboard-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
