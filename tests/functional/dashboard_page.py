"""What tests of the dashboard do on its page."""

from __future__ import annotations

import io
from typing import Protocol

from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect
from skimage import data

TIMES = "\N{MULTIPLICATION SIGN}"
ASTRONAUT = data.astronaut()  # type: ignore[no-untyped-call]


class Server(Protocol):
    url: str


def photo(name: str = "astronaut.jpg", size: tuple[int, int] = (96, 120)) -> FilePayload:
    buffer = io.BytesIO()
    Image.fromarray(ASTRONAUT).crop((140, 0, 340, 250)).resize(size).save(
        buffer, "PNG" if name.endswith("png") else "JPEG"
    )
    return {"name": name, "mimeType": "", "buffer": buffer.getvalue()}


def open_dashboard(page: Page, server: Server, view: str = "") -> None:
    page.goto(f"{server.url}/dashboard/{view}")
    expect_ready(page)


def expect_ready(page: Page) -> None:
    """The markup is there at once; the scripts mark the language when they run."""
    expect(page.locator("[data-language][aria-pressed=true]")).to_be_visible()


def add(page: Page, *photos: FilePayload) -> None:
    page.locator("#file-input").set_input_files(list(photos))


def card(page: Page, name: str) -> Locator:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


def expect_state(card: Locator, state: str) -> None:
    expect(card).to_have_attribute("data-state", state)


def restored(page: Page, server: Server, *photos: FilePayload) -> list[Locator]:
    open_dashboard(page, server)
    add(page, *photos)
    cards = [card(page, photo["name"]) for photo in photos]
    for one in cards:
        expect_state(one, "done")
        expect(one.get_by_role("slider")).to_be_visible()
    return cards
