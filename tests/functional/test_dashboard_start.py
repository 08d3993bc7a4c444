"""The dashboard's Start in a real browser: what is to be done, at what price, with how many photos."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from playwright.sync_api import Page, Route, expect

from tests.functional.dashboard_page import (
    TIMES,
    Server,
    add,
    card,
    expect_state,
    open_dashboard,
    photo,
)

UPLOADS_AT_ONCE = 3


def priced(**changes: Any) -> Callable[[Route], None]:
    """The estimate that a service with a paid provider gives; free where photos may not leave it."""

    def answer(route: Route) -> None:
        stays = "local_only=true" in route.request.url
        said = {"seconds": 10, "usd": 0.02, "total_seconds": 20, "total_usd": 0.04, "is_paid": True}
        free = {"usd": 0, "total_usd": 0, "is_paid": False, "providers": ["builtin"]} if stays else {}
        route.fulfill(json=said | {"providers": ["replicate"], "based_on": "reference"} | free | changes)

    return answer


def sent_with(page: Page, act: Callable[[], None]) -> str:
    """The form that the page sends to the service when it is made to `act`."""
    page.route(
        "**/v1/restore", lambda route: route.continue_()
    )  # Chromium tells no body that nobody intercepts.
    with page.expect_request("**/v1/restore") as sent:
        act()
    return (sent.value.post_data_buffer or b"").decode("latin-1")


def test_paid_photos_wait_until_their_price_is_seen(page: Page, live_server: Server) -> None:
    page.route("**/api/v1/estimate?*", priced())
    open_dashboard(page, live_server)
    expect(page.locator("#options")).to_contain_text("A photo: about $0.02, 10 s.")
    add(page, photo("one.jpg"), photo("two.jpg"))
    expect_state(card(page, "two.jpg"), "ready")
    expect(page.locator("#ready")).to_contain_text("2 photos are ready. They would be sent to Replicate")
    start = page.get_by_role("button", name="Start (about $0.04, 20 s)")
    expect(start).to_be_visible()

    page.get_by_label("This device only").check()
    form = sent_with(page, page.get_by_role("button", name="Start (free, about 20 s)").click)
    assert 'name="local_only"\r\n\r\ntrue' in form
    expect_state(card(page, "one.jpg"), "done")
    expect(card(page, "one.jpg")).to_contain_text("this device only")
    expect(page.locator("#ready")).to_be_hidden()

    page.reload()
    expect(page.get_by_label("This device only")).to_be_checked()


def test_free_photos_start_at_once_and_are_repaired_enlarged_or_drawn(
    page: Page, live_server: Server, tmp_path: Path
) -> None:
    page.route("**/api/v1/estimate?*", priced(is_paid=False, usd=0, total_usd=0, seconds=2.2))
    open_dashboard(page, live_server)
    form = sent_with(page, lambda: add(page, photo()))
    assert "local_only" not in form
    assert "model_id" not in form
    expect(page.locator("#options")).to_contain_text("A photo: free, about 2 s.")
    page.get_by_role("radio", name="Enlarge").check()
    form = sent_with(page, lambda: add(page, photo("small.jpg", (40, 30))))
    assert 'name="model_id"\r\n\r\nenlarging/standard-1' in form
    page.get_by_role("radio", name="Cartoon").check()
    page.get_by_text("Options", exact=True).click()
    page.get_by_role("radio", name="Pencil").check()
    form = sent_with(page, lambda: add(page, photo("portrait.jpg")))
    assert 'name="model_id"\r\n\r\ncartoon/sketch-1' in form

    enlarged, drawn = card(page, "small.jpg"), card(page, "portrait.jpg")
    expect(drawn.locator("[data-part=state]")).to_have_text("Drawn")
    expect(enlarged.locator("[data-part=state]")).to_have_text("Enlarged")
    expect(enlarged).to_contain_text(f"Enlarged {TIMES}2")
    with page.expect_download() as download:
        enlarged.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "small-enlarged.jpg"
    download.value.save_as(tmp_path / "result")
    with Image.open(tmp_path / "result") as result:
        assert result.size == (80, 60)


def test_of_a_folder_the_photos_are_taken(page: Page, live_server: Server, tmp_path: Path) -> None:
    album = tmp_path / "album"
    (album / "1963").mkdir(parents=True)
    (album / "1963" / "summer.jpg").write_bytes(photo()["buffer"])
    for other in ("notes.txt", "Thumbs.db", ".hidden.jpg"):
        (album / other).write_bytes(b"no photo")
    open_dashboard(page, live_server)
    page.locator("#folder-input").set_input_files(album)
    expect_state(card(page, "summer.jpg"), "done")
    expect(page.locator(".card")).to_have_count(1)

    (album / "1963" / "summer.jpg").unlink()
    page.locator("#folder-input").set_input_files(album)
    expect(page.locator("#problem")).to_have_text("There is no photo in this folder that Relume can read.")


def test_many_photos_are_drawn_as_they_come_near_and_sent_a_few_at_a_time(
    page: Page, live_server: Server
) -> None:
    held: list[Route] = []
    page.route("**/v1/restore", lambda route: held.append(route))
    page.set_viewport_size({"width": 390, "height": 600})
    open_dashboard(page, live_server)
    add(page, *(photo(f"{index}.jpg", (8, 10)) for index in range(40)))
    expect(page.locator(".card")).to_have_count(40)
    expect(page.locator(".card img").first).to_be_attached()
    expect(page.locator(".card[data-state=uploading]")).to_have_count(UPLOADS_AT_ONCE)
    expect(page.locator(".card[data-state=waiting]")).to_have_count(40 - UPLOADS_AT_ONCE)
    assert len(held) == UPLOADS_AT_ONCE

    last = card(page, "39.jpg")
    expect(last.locator("img")).to_have_count(0)
    last.scroll_into_view_if_needed()
    expect(last.locator("img")).to_be_visible()
    page.get_by_role("button", name="Cancel the rest").click()
    expect(page.locator(".card[data-state=cancelled]")).to_have_count(40)


def test_a_waiting_photo_tells_its_place_where_it_is_known(page: Page, live_server: Server) -> None:
    places: list[int | None] = [4, None]

    def queued(route: Route) -> None:
        said = {"status": "queued", "progress": 0, "result_url": None, "error": None, "step": None}
        place = places.pop(0)
        told = said if place is None else said | {"queue_position": place}
        event = f"event: progress\ndata: {json.dumps(told)}\n\n"
        route.fulfill(content_type="text/event-stream", body=event)

    page.route("**/v1/jobs/*/events", queued)
    page.route("**/v1/jobs/*", lambda route: route.abort("failed"))
    open_dashboard(page, live_server)
    add(page, photo("first.jpg"))
    state = "[data-part=state]"
    expect(card(page, "first.jpg").locator(state)).to_have_text("Number 4 in the queue")
    add(page, photo("second.jpg"))
    expect(card(page, "second.jpg").locator(state)).to_have_text("In the queue")


def test_a_photo_that_lies_on_its_side_stands_upright_at_once(page: Page, live_server: Server) -> None:
    lying, orientation = io.BytesIO(), Image.Exif()
    orientation[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 20)).save(lying, "JPEG", exif=orientation.tobytes())
    page.route("**/v1/restore", lambda route: None)  # What is seen must not be the result.
    open_dashboard(page, live_server)
    add(page, {"name": "lying.jpg", "mimeType": "image/jpeg", "buffer": lying.getvalue()})
    preview = card(page, "lying.jpg").locator("img")
    expect(preview).to_have_js_property("naturalWidth", 20)
    expect(preview).to_have_js_property("naturalHeight", 40)
