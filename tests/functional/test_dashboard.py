"""The dashboard in a real browser, on the real service."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

import pytest
from PIL import Image
from playwright._impl._api_structures import RequestSizes
from playwright.sync_api import Browser, FilePayload, Page, Response, Route, expect

from tests.functional.axe import assert_accessible
from tests.functional.browser_fixtures import Console, opened_page
from tests.functional.dashboard_page import (
    TIMES,
    Server,
    add,
    card,
    expect_ready,
    expect_state,
    open_dashboard,
    photo,
    restored,
)

FIRST_LOAD_BYTES = 100_000
"""As transferred, with headers."""
UNPACKED_BYTES = 250_000
TARGET_PIXELS = 44
LONG_NAME = "a-very-long-name-of-a-scanned-photo-from-the-summer-of-1963.png"


class KeyedServer(Server, Protocol):
    key: str


def described(path: Path) -> tuple[str | None, tuple[int, int]]:
    """Format and size of an image that can be read to its end."""
    with Image.open(path) as image:
        image.load()
        return image.format, image.size


def test_the_first_load_is_small_local_and_guarded(page: Page, live_server: Server) -> None:
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    answer = page.goto(f"{live_server.url}/dashboard")
    page.wait_for_load_state("networkidle")

    assert answer
    assert answer.url == f"{live_server.url}/dashboard/"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert all(response.url.startswith(live_server.url) for response in responses)
    files = [response for response in responses if response.ok and "/dashboard/" in response.url]
    assert 20 < len(files) < 50
    unpacked = sum(len(response.body()) for response in files)
    transferred = sum(sum_of(response.request.sizes()) for response in files)
    assert (transferred < FIRST_LOAD_BYTES, unpacked < UNPACKED_BYTES) == (True, True), (
        transferred,
        unpacked,
    )


def sum_of(sizes: RequestSizes) -> int:
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


@pytest.fixture(scope="module")
def gallery(browser: Browser, live_server: Server) -> Iterator[Page]:
    """Two finished photos, one with a long name."""
    with opened_page(browser, Console()) as page:
        restored(page, live_server, photo("one.jpg"), photo(LONG_NAME))
        yield page


@pytest.fixture
def album(gallery: Page) -> Iterator[Page]:
    """The gallery for a test that looks and changes nothing of it."""
    yield gallery
    gallery.get_by_role("button", name="English").click()
    gallery.emulate_media(color_scheme="null", reduced_motion="null")
    gallery.set_viewport_size({"width": 1280, "height": 850})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_start_is_accessible(album: Page, theme: Literal["light", "dark"]) -> None:
    assert_accessible(album, theme=theme)


def test_results_are_downloaded_one_by_one_and_together(album: Page) -> None:
    expect(album.locator("#gallery")).to_contain_text("All 2 photos are finished")
    for name, kind in (("one.jpg", "JPEG"), (LONG_NAME, "PNG")):
        with album.expect_download() as download:
            card(album, name).get_by_role("link", name="Download").click()
        stem, _, extension = name.rpartition(".")
        assert download.value.suggested_filename == f"{stem}-restored.{extension}"
        assert described(download.value.path()) == (kind, (96, 120))

    with album.expect_download() as download:
        album.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"one.jpg", LONG_NAME} < set(archive.namelist())


def test_a_photo_can_be_restored_again_with_other_settings(page: Page, live_server: Server) -> None:
    (first,) = restored(page, live_server, photo())
    again = first.get_by_role("button", name="Again with new settings")
    expect(again).to_be_hidden()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Strength").press("End")
    expect(page.locator("#options")).to_contain_text("Full, 100%")
    page.get_by_role("radio", name=f"{TIMES}2").check()
    again.click()
    expect(page.locator(".card")).to_have_count(2)
    second = page.locator(".card").last
    expect_state(second, "done")
    expect(second).to_contain_text(f"Strength 100%, {TIMES}2")
    with page.expect_download() as download:
        second.get_by_role("link", name="Download").click()
    assert described(download.value.path()) == ("JPEG", (192, 240))


def test_the_slider_follows_keyboard_and_mouse(album: Page) -> None:
    done = card(album, "one.jpg")
    slider = done.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuenow", "50")

    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "52")
    expect(slider).to_have_attribute("aria-valuetext", "52% before, 48% after")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    slider.press("PageUp")
    expect(slider).to_have_attribute("aria-valuenow", "10")

    box = done.locator(".compare").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    album.mouse.move(box["x"] + box["width"] * 0.10, middle)
    album.mouse.down()
    album.mouse.move(box["x"] + box["width"] * 0.75, middle, steps=4)
    album.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", re.compile("7[456]"))


def test_the_language_is_switched_and_remembered(album: Page) -> None:
    album.get_by_role("button", name="Tiếng Việt").click()
    expect(album.locator(".card").first).to_contain_text("Đã phục hồi")
    expect(album.locator("html")).to_have_attribute("lang", "vi")
    expect(album).to_have_title("Relume: phục hồi ảnh cũ")

    album.reload()
    expect(album.get_by_role("heading", name="Ảnh của bạn")).to_be_visible()
    expect_ready(album)
    album.get_by_role("button", name="English").click()
    expect(album.get_by_role("heading", name="Your photos")).to_be_visible()


def test_a_file_that_is_no_photo_says_so_and_the_others_go_on(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("415|400")
    letter: FilePayload = {
        "name": "letter.jpg",
        "mimeType": "image/jpeg",
        "buffer": b"Dear grandmother,\n" * 9,
    }
    notes: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a photo"}
    nothing: FilePayload = {"name": "nothing.jpg", "mimeType": "image/jpeg", "buffer": b""}
    open_dashboard(page, live_server)
    add(page, letter, notes, nothing, photo("real.jpg"))

    expect_state(card(page, "letter.jpg"), "failed")
    expect(card(page, "letter.jpg").locator("[data-part=error]")).to_have_text(re.compile(r"^[A-Z].{15,}\.$"))
    expect(card(page, "notes.txt")).to_contain_text("This file is not a photo.")
    expect(card(page, "nothing.jpg")).to_contain_text("This file is empty.")
    expect_state(card(page, "real.jpg"), "done")
    expect(page.locator("#gallery")).to_contain_text("1 of 4 finished · 3 need a look")

    page.get_by_role("button", name="Tiếng Việt").click()
    expect(card(page, "letter.jpg").locator("[data-part=error]")).to_contain_text(re.compile("[ảđệọ]"))


def test_a_large_file_is_doubted_at_once_but_the_server_decides(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("413")
    open_dashboard(page, live_server)
    hand_over(page, "drop", "large.jpg", padding=16 * 1024 * 1024)
    doubted = card(page, "large.jpg")
    expect(doubted).to_contain_text("This file has 17 MB.")
    expect_state(doubted, "refused")
    doubted.get_by_role("button", name="Send it anyway").click()
    expect_state(doubted, "failed")


def hand_over(page: Page, event: Literal["drop", "paste"], name: str, padding: int = 0) -> None:
    """A photo that no file dialog brings, `padding` bytes longer than it should be."""
    page.evaluate(
        """([event, name, bytes, padding]) => {
          const transfer = new DataTransfer();
          const parts = [new Uint8Array(bytes), new Uint8Array(padding)];
          transfer.items.add(new File(parts, name, { type: 'image/jpeg' }));
          const shape = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(event === 'drop'
            ? new DragEvent('drop', { ...shape, dataTransfer: transfer })
            : new ClipboardEvent('paste', { ...shape, clipboardData: transfer }));
        }""",
        [event, name, list(photo()["buffer"]), padding],
    )


def test_photos_can_be_dropped_and_pasted(page: Page, live_server: Server) -> None:
    open_dashboard(page, live_server)
    hand_over(page, "drop", "dropped.jpg")
    hand_over(page, "paste", "pasted.jpg")
    for name in ("dropped.jpg", "pasted.jpg"):
        expect_state(card(page, name), "done")


def test_the_key_is_asked_for_until_it_is_right_and_then_kept(
    page: Page, live_server_with_key: KeyedServer, console: Console
) -> None:
    console.expect("401|403")
    page.goto(f"{live_server_with_key.url}/dashboard/")
    question = page.get_by_role("dialog", name="This Relume needs a key")
    question.get_by_role("button", name="Not now").click()
    add(page, photo())
    question.get_by_role("button", name="Not now").click()
    waiting = card(page, "astronaut.jpg")
    expect_state(waiting, "failed")

    waiting.get_by_role("button", name="Try again").click()
    question.get_by_label("API key").fill("not the key")
    page.keyboard.press("Enter")
    expect(question).to_contain_text("That key was not accepted.")
    question.get_by_label("API key").fill(live_server_with_key.key)
    question.get_by_role("button", name="Continue").click()
    expect(question).to_be_hidden()
    expect_state(waiting, "done")
    page.reload()
    expect_state(waiting, "done")
    page.wait_for_load_state("networkidle")
    expect(question).to_be_hidden()


def still_running(route: Route) -> None:
    """Stands in for a job that takes its time, however fast the real one is."""
    job_id = route.request.url.split("/jobs/")[1].split("/")[0]
    if route.request.url.endswith("/events"):
        route.fulfill(content_type="text/event-stream", body=": nothing yet\n\n")
    else:
        said = {"job_id": job_id, "status": "running", "progress": 0.4}
        route.fulfill(json={**said, "result_url": None, "error": None})


def test_a_photo_can_be_cancelled_at_any_time_and_is_found_again_after_a_reload(
    page: Page, live_server: Server
) -> None:
    held: list[Route] = []
    open_dashboard(page, live_server)
    page.route("**/v1/jobs/**", still_running)
    page.route("**/v1/restore", lambda route: held.append(route))
    add(page, photo())
    one = card(page, "astronaut.jpg")
    expect_state(one, "uploading")
    one.get_by_role("button", name="Cancel").click()
    expect_state(one, "cancelled")
    page.unroute("**/v1/restore")

    one.get_by_role("button", name="Try again").click()
    expect_state(one, "running")
    with page.expect_request(lambda request: request.method == "DELETE"):
        one.get_by_role("button", name="Cancel").click()
    expect_state(one, "cancelled")

    one.get_by_role("button", name="Try again").click()
    expect_state(one, "running")
    expect(one.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "40")
    page.unroute("**/v1/jobs/**")
    page.reload()
    expect_state(one, "done")
    expect(one.get_by_alt_text("Result of astronaut.jpg")).to_be_visible()
    expect(one.get_by_role("link", name="Download")).to_be_visible()
    expect(one.get_by_role("slider")).to_be_visible()  # over the original that the service keeps


def test_a_pause_and_a_lost_connection_are_waited_out_with_one_key(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("429|ERR_CONNECTION_RESET")
    keys: list[str] = []

    def stumble(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"code": "rate_limited"})
        elif len(keys) == 2:
            route.abort("connectionreset")
        else:
            route.continue_()

    open_dashboard(page, live_server)
    page.route("**/v1/restore", stumble)
    add(page, photo())
    expect(page.locator("#gallery")).to_contain_text("paused by the service")
    expect_state(card(page, "astronaut.jpg"), "done")
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_the_keyboard_alone_is_enough(page: Page, live_server: Server) -> None:
    open_dashboard(page, live_server)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos").press("Enter")
    chooser.value.set_files([photo()])
    done = card(page, "astronaut.jpg")
    expect_state(done, "done")
    expect(page.get_by_role("status").filter(has_text="is finished")).to_be_attached()

    done.get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()


def test_a_narrow_phone_needs_no_sideways_scrolling(page: Page, album: Page, live_server: Server) -> None:
    open_dashboard(page, live_server)
    for shown in (page, album):
        shown.set_viewport_size({"width": 360, "height": 740})
        for language in ("English", "Tiếng Việt"):
            shown.get_by_role("button", name=language).click()
            assert_fits(shown)


def assert_fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    for target in page.locator("button:visible, a:not(.skip):visible, summary:visible").all():
        box = target.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= TARGET_PIXELS, target.text_content()
