"""The dashboard's large view in a real browser, on the real service."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, CDPSession, FilePayload, Locator, Page, Request, expect
from skimage import data

from tests.functional.axe import assert_accessible
from tests.functional.browser_fixtures import Console, opened_page
from tests.functional.dashboard_page import card, open_dashboard
from tests.functional.server import Server

GONE = 410
TARGET_PIXELS = 44
WIDTH, HEIGHT = 384, 288
MADE_AT = 0.6
"""The strength that the page sends unless told otherwise."""

Box = dict[str, float]


def grainy(name: str, seed: int = 0) -> FilePayload:
    """Small, and with noise, so that there is something to restore."""
    picture = Image.fromarray(data.astronaut()).crop((60, 0, 60 + WIDTH, HEIGHT))  # type: ignore[no-untyped-call]
    noise = np.random.default_rng(seed).normal(0, 22, (HEIGHT, WIDTH, 1))
    buffer = io.BytesIO()
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return {"name": name, "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


ONE, TWO, LARGE = grainy("one.jpg"), grainy("two.jpg", seed=1), grainy("large.jpg")


def add(page: Page, *photos: FilePayload, upscale: int = 1) -> None:
    """The same photos in each test: after the first time they come from the result cache."""
    page.locator(f"input[name=upscale][value='{upscale}']").evaluate("radio => radio.click()")
    page.locator("#file-input").set_input_files(list(photos))


def expect_done(page: Page, count: int) -> None:
    expect(page.locator(".card[data-state=done]")).to_have_count(count)


def open_viewer(page: Page, name: str = "one.jpg") -> Locator:
    card(page, name).locator("[data-action=zoom]").click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    expect(stage(viewer)).not_to_have_class(re.compile("is-loading"))
    return viewer


@pytest.fixture(scope="module")
def gallery_console() -> Console:
    return Console()


@pytest.fixture(scope="module")
def gallery(browser: Browser, live_server: Server, gallery_console: Console) -> Iterator[Page]:
    """Three finished cards: `one.jpg`, `two.jpg`, and `large.jpg`, enlarged twice."""
    with opened_page(browser, gallery_console) as page:
        open_dashboard(page, live_server)
        add(page, ONE, TWO)
        expect(page.locator(".card")).to_have_count(2)
        add(page, LARGE, upscale=2)
        expect_done(page, 3)
        yield page


@pytest.fixture
def album(gallery: Page) -> Iterator[Page]:
    """The gallery for a test that looks and changes nothing of it; whatever it opened is closed afterwards."""
    yield gallery
    gallery.unroute_all()
    gallery.evaluate("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())")
    gallery.evaluate("document.querySelector('[data-language=en]').click()")
    gallery.emulate_media(color_scheme="null", reduced_motion="null")
    gallery.set_viewport_size({"width": 1280, "height": 850})


def stage(viewer: Locator) -> Locator:
    return viewer.locator("[data-part=stage]")


def box_of(element: Locator) -> Box:
    """With fractions of a pixel, and of what lies outside the window too."""
    box: Box = element.evaluate(
        "e => (({x, y, width, height}) => ({x, y, width, height}))(e.getBoundingClientRect())"
    )
    return box


def boxes_in_step(viewer: Locator) -> Box:
    before, after = box_of(viewer.locator("[data-part=before]")), box_of(viewer.locator("[data-part=after]"))
    assert before == after
    return after


def strength_is_ready(viewer: Locator) -> Locator:
    slider = viewer.get_by_role("slider", name="Strength")
    expect(slider).to_be_enabled()
    return slider


def test_the_divider_follows_keyboard_and_mouse(album: Page) -> None:
    viewer = open_viewer(album)
    divider = viewer.get_by_role("slider", name="Compare before and after")
    expect(divider).to_have_attribute("aria-valuetext", "50% before, 50% after")
    divider.focus()
    for key, position in (("ArrowRight", 52), ("PageDown", 42), ("Home", 0), ("PageUp", 10), ("End", 100)):
        divider.press(key)
        expect(divider).to_have_attribute("aria-valuenow", str(position))

    picture = boxes_in_step(viewer)
    middle = picture["y"] + picture["height"] / 2
    album.mouse.move(picture["x"] + picture["width"] * 0.2, middle)
    album.mouse.down()
    album.mouse.move(picture["x"] + picture["width"] * 0.75, middle, steps=3)
    album.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "75")
    expect(divider).to_be_focused()
    knob = box_of(divider)
    assert knob["x"] + knob["width"] / 2 == pytest.approx(picture["x"] + picture["width"] * 0.75, abs=1)


def test_the_original_is_seen_as_long_as_somebody_holds(album: Page) -> None:
    viewer = open_viewer(album)
    result, button = viewer.locator("[data-part=after]"), viewer.get_by_role("button", name="Original")
    label = viewer.locator(".viewer-label.is-original")
    expect(label).to_have_css("opacity", "0")
    for key in ("o", " "):
        album.keyboard.down(key)
        expect(result).to_be_hidden()
        expect(label).to_have_css("opacity", "1")
        album.keyboard.up(key)
        expect(result).to_be_visible()

    button.hover()
    album.mouse.down()
    expect(result).to_be_hidden()
    album.mouse.up()
    expect(result).to_be_visible()
    button.press("Enter")  # Not everybody can hold: from the keyboard it switches.
    expect(result).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.press("Enter")
    expect(result).to_be_visible()


def test_before_and_after_stay_in_step_at_every_zoom(album: Page) -> None:
    viewer = open_viewer(album, "large.jpg")
    expect(viewer).to_contain_text(re.compile("768 . 576"))
    fitted, room = boxes_in_step(viewer), box_of(stage(viewer))
    assert max(fitted["width"] / room["width"], fitted["height"] / room["height"]) == pytest.approx(
        0.96, abs=0.03
    )

    viewer.get_by_role("button", name="100%").click()
    assert boxes_in_step(viewer)["width"] == pytest.approx(2 * WIDTH, abs=0.01)
    album.keyboard.press("2")
    assert boxes_in_step(viewer)["width"] == pytest.approx(4 * WIDTH, abs=0.01)
    expect(viewer.get_by_role("button", name="200%")).to_have_attribute("aria-pressed", "true")

    at = (room["x"] + room["width"] / 3, room["y"] + room["height"] / 2)  # not on the divider
    start = boxes_in_step(viewer)
    album.mouse.move(*at)
    album.mouse.down()
    album.mouse.move(at[0] + 90, at[1] - 40, steps=3)
    album.mouse.up()
    moved = boxes_in_step(viewer)
    assert (moved["x"] - start["x"], moved["y"] - start["y"]) == pytest.approx((90, -40), abs=1)

    album.keyboard.press("0")
    assert boxes_in_step(viewer) == fitted


def test_the_wheel_zooms_at_the_pointer_and_a_double_click_goes_there_and_back(album: Page) -> None:
    viewer = open_viewer(album, "large.jpg")
    before = boxes_in_step(viewer)
    at = (before["x"] + before["width"] * 0.7, before["y"] + before["height"] * 0.4)
    album.mouse.move(*at)
    album.mouse.wheel(0, -500)
    expect(stage(viewer)).to_have_class(re.compile("can-pan"))
    after = boxes_in_step(viewer)
    assert (at[0] - after["x"]) / after["width"] == pytest.approx(0.7, abs=0.002)
    assert (at[1] - after["y"]) / after["height"] == pytest.approx(0.4, abs=0.002)

    album.mouse.dblclick(*at)
    assert boxes_in_step(viewer) == before
    album.mouse.dblclick(*at)
    assert boxes_in_step(viewer)["width"] == pytest.approx(2 * before["width"], abs=0.01)


def test_one_turns_to_the_neighbours_and_comes_back_where_one_was(album: Page) -> None:
    viewer = open_viewer(album)
    expect(viewer).to_contain_text("1 of 3")
    album.keyboard.press("ArrowRight")
    expect(album.get_by_role("dialog", name="two.jpg")).to_be_visible()
    viewer.get_by_role("button", name="Previous photo").click()
    expect(album.get_by_role("dialog", name="one.jpg")).to_be_visible()
    expect(viewer.get_by_role("button", name="Previous photo")).to_be_disabled()

    album.keyboard.press("?")
    keys = album.get_by_role("dialog", name="Keyboard")
    expect(keys).to_contain_text("Hold for the original")
    album.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    expect(viewer).to_be_visible()
    album.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(album.locator(".card [data-action=zoom]").first).to_be_focused()


def test_what_was_done_is_told_in_words(album: Page) -> None:
    viewer = open_viewer(album)
    account = viewer.locator("[data-part=account]")
    expect(account).to_contain_text("Restored.")
    expect(account).to_contain_text(
        re.compile(r"original, with visible|close to the original|Shows just what")
    )
    expect(account).to_contain_text(re.compile(r"Relume built-in · version \d"))
    expect(account).to_contain_text("Calm the grain")
    expect(account).to_contain_text(
        re.compile(r"In all [\d.]+ seconds?, free\. The photo stayed on this server\.")
    )
    expect(viewer).to_contain_text(re.compile(r"Kept for (5\d|60) more minutes\."))

    album.evaluate("document.querySelector('[data-language=vi]').click()")
    expect(account).to_contain_text("Đã phục hồi.")
    expect(account).to_contain_text("Làm mịn hạt ảnh")
    expect(viewer).to_contain_text("Mức phục hồi")


def shot(viewer: Locator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The picture without its edges, where labels and the divider are."""
    picture = Image.open(io.BytesIO(stage(viewer).screenshot())).convert("RGB")
    width, height = picture.size
    inner = picture.crop((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    return np.asarray(inner, np.float32)


def test_less_strength_is_mixed_exactly_in_the_browser(album: Page) -> None:
    album.emulate_media(reduced_motion="reduce")
    viewer = open_viewer(album)
    strength = strength_is_ready(viewer)
    divider = viewer.get_by_role("slider", name="Compare before and after")
    divider.press("Home")
    result = shot(viewer)
    divider.press("End")
    original = shot(viewer)
    divider.press("Home")
    strength.fill(str(MADE_AT / 2))
    expect(viewer).to_contain_text("A preview at 30%")
    mixed = shot(viewer)

    assert np.abs(result - original).mean() > 3  # There is something to mix.
    assert np.abs(mixed - (original + result) / 2).max() <= 2
    viewer.get_by_role("button", name="Back").click()
    assert np.array_equal(shot(viewer), result)


def test_more_strength_comes_from_the_server_and_can_be_saved(page: Page, live_server: Server) -> None:
    asked: list[float] = []

    def note(request: Request) -> None:
        if request.url.endswith("/render"):
            asked.append((request.post_data_json or {})["strength"])

    page.on("request", note)
    open_dashboard(page, live_server)
    add(page, ONE)
    viewer = open_viewer(page)
    result = viewer.locator("[data-part=after]")
    first = result.get_attribute("src")
    strength_is_ready(viewer).fill("0.8")
    expect(viewer).to_contain_text("the server is sending the full restoration")
    expect(result).to_have_css("opacity", "0.8")
    assert asked == [1.0]
    assert result.get_attribute("src") != first

    viewer.get_by_role("button", name="Save this strength").click()
    expect(viewer).to_contain_text("Saved at 80%")
    assert asked == [1.0, 0.8]
    expect(result).to_have_css("opacity", "1")
    href = viewer.get_by_role("link", name="Download").get_attribute("href") or "nothing"
    assert (result.get_attribute("src") or "").endswith(href)
    expect(viewer.get_by_role("button", name="Save this strength")).to_be_disabled()

    page.keyboard.press("Escape")
    saved = card(page, "one.jpg")
    expect(saved).to_contain_text("Strength 80%")
    expect(saved.get_by_role("link", name="Download")).to_have_attribute("href", href)
    page.reload()  # Now the original comes from the server.
    viewer = open_viewer(page)
    expect(viewer.locator("[data-part=handle]")).to_be_visible()
    boxes_in_step(viewer)
    expect(strength_is_ready(viewer)).to_have_value("0.8")


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            409,
            {"code": "conflict", "detail": "Only the mixed result was kept."},
            "Only the mixed result was kept.",
        ),
        (410, {"code": "expired", "detail": "Gone."}, "The files behind this photo are no longer kept"),
    ],
)
def test_a_strength_that_cannot_be_had_says_why(
    album: Page, gallery_console: Console, status: int, body: dict[str, str], sentence: str
) -> None:
    gallery_console.expect(str(status))
    album.route("**/api/v1/jobs/*/render", lambda route: route.fulfill(status=status, json=body))
    viewer = open_viewer(album)
    strength_is_ready(viewer).fill("0.9")
    expect(viewer.locator("[data-part=strength-note]")).to_contain_text(sentence)
    expect(strength_is_ready(viewer)).to_have_value("0.9")


def test_delete_now_asks_first_and_goes_on_to_the_next(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("500")
    open_dashboard(page, live_server)
    add(page, ONE, TWO)
    expect_done(page, 2)
    results = [
        card(page, name).get_by_role("link", name="Download").get_attribute("href") or ""
        for name in ("one.jpg", "two.jpg")
    ]
    viewer = open_viewer(page)
    question = page.get_by_role("dialog", name="Delete this photo from the server?")
    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Keep it").click()
    expect(question).to_be_hidden()
    assert statuses(live_server, results) == [200, 200]

    broken = {"code": "internal_error", "detail": "Not now."}
    page.route("**/api/v1/jobs/*/files", lambda route: route.fulfill(status=500, json=broken), times=1)
    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Delete now").click()
    expect(question.get_by_role("alert")).to_have_text("Not now.")
    question.get_by_role("button", name="Delete now").click()
    expect(question).to_be_hidden()
    expect(page.get_by_role("dialog", name="two.jpg")).to_be_visible()
    expect(page.locator(".card")).to_have_count(1)
    assert statuses(live_server, results) == [GONE, 200]

    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Delete now").click()
    expect(viewer).to_be_hidden()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator("main")).to_be_focused()
    assert statuses(live_server, results) == [GONE, GONE]


def statuses(server: Server, paths: list[str]) -> list[int]:
    with server.client() as client:
        return [client.get(path).status_code for path in paths]


def test_where_the_original_is_gone_the_result_stands_alone(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("410")
    page.route("**/results/*/original?*", lambda route: route.fulfill(status=410))
    open_dashboard(page, live_server)
    add(page, ONE)
    expect_done(page, 1)
    page.reload()
    viewer = open_viewer(page)
    expect(viewer.locator("[data-part=handle]")).to_be_hidden()
    expect(viewer.locator("[data-part=after]")).to_be_visible()
    expect(viewer.get_by_role("button", name="Original")).to_be_disabled()
    expect(viewer.locator("[data-part=strength-section]")).to_be_hidden()


@pytest.fixture
def phone(album: Page) -> Page:
    album.set_viewport_size({"width": 390, "height": 844})
    return album


Points = tuple[tuple[float, float], ...]


def touched(session: CDPSession, *moments: Points) -> None:
    """Fingers that come down, move and leave."""
    for kind, points in (*zip(("touchStart", "touchMove"), moments, strict=True), ("touchEnd", ())):
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_fingers_swipe_pinch_and_move_the_divider(phone: Page) -> None:
    viewer = open_viewer(phone)
    picture = boxes_in_step(viewer)
    x, y = picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2
    divider = viewer.get_by_role("slider", name="Compare before and after")
    session = phone.context.new_cdp_session(phone)
    touched(session, ((x, y),), ((x + picture["width"] / 4, y),))
    expect(divider).to_have_attribute("aria-valuenow", "75")

    touched(session, ((x, y + 60),), ((x - 120, y + 68),))
    expect(phone.get_by_role("dialog", name="two.jpg")).to_be_visible()
    expect(stage(viewer)).not_to_have_class(re.compile("is-loading"))

    touched(session, ((x - 120, y + 60), (x - 60, y + 60)), ((x - 150, y + 60), (x - 30, y + 60)))
    assert boxes_in_step(viewer)["width"] == pytest.approx(2 * picture["width"], rel=0.02)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_phone_has_room_for_all_of_it(phone: Page, language: str) -> None:
    viewer = open_viewer(phone)
    phone.evaluate("code => document.querySelector(`[data-language=${code}]`).click()", language)
    expect(phone.locator("html")).to_have_attribute("lang", language)
    panel = viewer.locator("[data-part=panel]")
    expect(panel).to_be_hidden()
    viewer.locator("[data-part=facts]").click()
    expect(panel).to_be_visible()
    picture, sheet = boxes_in_step(viewer), box_of(panel)
    assert picture["height"] > 200
    assert picture["y"] + picture["height"] < sheet["y"]  # The photo stays in sight.
    assert sheet["y"] + sheet["height"] <= 844

    for target in viewer.locator("button:visible, a:visible, [role=slider]:visible").all():
        box = box_of(target)
        assert min(box["width"], box["height"]) >= TARGET_PIXELS, target.text_content()
        assert box["x"] >= 0, target.text_content()
        assert box["x"] + box["width"] <= 390, target.text_content()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_large_view_is_accessible(album: Page, theme: Literal["light", "dark"]) -> None:
    viewer = open_viewer(album)
    strength_is_ready(viewer).fill("0.4")
    assert_accessible(album, theme=theme, within="#viewer")
    album.keyboard.press("?")
    assert_accessible(album, theme=theme, within="#viewer-keys")
