"""The dashboard's large view in a real browser, on the real service."""

from __future__ import annotations

import io
import json
import re
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import CDPSession, FilePayload, Locator, Page, Route, expect
from skimage import data

from tests.functional.axe import assert_accessible
from tests.functional.browser_fixtures import Console
from tests.functional.server import Server

PATIENCE_MS = 60_000
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


ONE, TWO = grainy("one.jpg"), grainy("two.jpg", seed=1)


def restored(page: Page, server: Server, *photos: FilePayload, upscale: int = 1) -> None:
    """The same photos in each test: after the first they come from the result cache."""
    page.goto(f"{server.url}/dashboard/")
    expect(page.locator("[data-language][aria-pressed=true]")).to_be_visible()
    page.locator(f"input[name=upscale][value='{upscale}']").evaluate("radio => radio.click()")
    page.locator("#file-input").set_input_files(list(photos))
    expect(page.locator(".card[data-state=done]")).to_have_count(len(photos), timeout=PATIENCE_MS)


def open_viewer(page: Page, index: int = 0) -> Locator:
    page.locator(".card [data-action=zoom]").nth(index).click()
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    expect(stage(viewer)).not_to_have_class(re.compile("is-loading"))
    return viewer


def viewed(page: Page, server: Server, *photos: FilePayload, upscale: int = 1) -> Locator:
    restored(page, server, *photos or (ONE,), upscale=upscale)
    return open_viewer(page)


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


def test_the_divider_follows_keyboard_and_mouse(page: Page, live_server: Server) -> None:
    viewer = viewed(page, live_server)
    divider = viewer.get_by_role("slider", name="Compare before and after")
    expect(divider).to_have_attribute("aria-valuetext", "50% before, 50% after")
    divider.focus()
    for key, position in (("ArrowRight", 52), ("PageDown", 42), ("Home", 0), ("PageUp", 10), ("End", 100)):
        divider.press(key)
        expect(divider).to_have_attribute("aria-valuenow", str(position))

    picture = boxes_in_step(viewer)
    middle = picture["y"] + picture["height"] / 2
    page.mouse.move(picture["x"] + picture["width"] * 0.2, middle)
    page.mouse.down()
    page.mouse.move(picture["x"] + picture["width"] * 0.75, middle, steps=3)
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "75")
    expect(divider).to_be_focused()
    knob = box_of(divider)
    assert knob["x"] + knob["width"] / 2 == pytest.approx(picture["x"] + picture["width"] * 0.75, abs=1)


def test_the_original_is_seen_as_long_as_somebody_holds(page: Page, live_server: Server) -> None:
    viewer = viewed(page, live_server)
    result, button = viewer.locator("[data-part=after]"), viewer.get_by_role("button", name="Original")
    label = viewer.locator(".viewer-label.is-original")
    expect(label).to_have_css("opacity", "0")
    for key in ("o", " "):
        page.keyboard.down(key)
        expect(result).to_be_hidden()
        expect(label).to_have_css("opacity", "1")
        page.keyboard.up(key)
        expect(result).to_be_visible()

    button.hover()
    page.mouse.down()
    expect(result).to_be_hidden()
    page.mouse.up()
    expect(result).to_be_visible()
    button.press("Enter")  # Not everybody can hold: from the keyboard it switches.
    expect(result).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.press("Enter")
    expect(result).to_be_visible()


def test_before_and_after_stay_in_step_at_every_zoom(page: Page, live_server: Server) -> None:
    viewer = viewed(page, live_server, upscale=2)
    expect(viewer).to_contain_text(re.compile("768 . 576"))
    fitted, room = boxes_in_step(viewer), box_of(stage(viewer))
    assert max(fitted["width"] / room["width"], fitted["height"] / room["height"]) == pytest.approx(
        0.96, abs=0.03
    )

    viewer.get_by_role("button", name="100%").click()
    assert boxes_in_step(viewer)["width"] == pytest.approx(2 * WIDTH, abs=0.01)
    page.keyboard.press("2")
    assert boxes_in_step(viewer)["width"] == pytest.approx(4 * WIDTH, abs=0.01)
    expect(viewer.get_by_role("button", name="200%")).to_have_attribute("aria-pressed", "true")

    at = (room["x"] + room["width"] / 3, room["y"] + room["height"] / 2)  # not on the divider
    start = boxes_in_step(viewer)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 90, at[1] - 40, steps=3)
    page.mouse.up()
    moved = boxes_in_step(viewer)
    assert (moved["x"] - start["x"], moved["y"] - start["y"]) == pytest.approx((90, -40), abs=1)

    page.keyboard.press("0")
    assert boxes_in_step(viewer) == fitted


def test_the_wheel_zooms_at_the_pointer_and_a_double_click_goes_there_and_back(
    page: Page, live_server: Server
) -> None:
    viewer = viewed(page, live_server, upscale=2)
    before = boxes_in_step(viewer)
    at = (before["x"] + before["width"] * 0.7, before["y"] + before["height"] * 0.4)
    page.mouse.move(*at)
    page.mouse.wheel(0, -500)
    expect(stage(viewer)).to_have_class(re.compile("can-pan"))
    after = boxes_in_step(viewer)
    assert (at[0] - after["x"]) / after["width"] == pytest.approx(0.7, abs=0.002)
    assert (at[1] - after["y"]) / after["height"] == pytest.approx(0.4, abs=0.002)

    page.mouse.dblclick(*at)
    assert boxes_in_step(viewer) == before
    page.mouse.dblclick(*at)
    assert boxes_in_step(viewer)["width"] == pytest.approx(2 * before["width"], abs=0.01)


def test_one_turns_to_the_neighbours_and_comes_back_where_one_was(page: Page, live_server: Server) -> None:
    viewer = viewed(page, live_server, ONE, TWO)
    expect(viewer).to_contain_text("1 of 2")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="two.jpg")).to_be_visible()
    expect(viewer.get_by_role("button", name="Next photo")).to_be_disabled()
    viewer.get_by_role("button", name="Previous photo").click()
    expect(page.get_by_role("dialog", name="one.jpg")).to_be_visible()

    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys).to_contain_text("Hold for the original")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    expect(viewer).to_be_visible()
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page.locator(".card [data-action=zoom]").first).to_be_focused()


def test_what_was_done_is_told_in_words(page: Page, live_server: Server) -> None:
    viewer = viewed(page, live_server)
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
    expect(viewer).to_contain_text(re.compile(r"Kept for (59|60) more minutes\."))

    page.evaluate("document.querySelector('[data-language=vi]').click()")
    expect(account).to_contain_text("Đã phục hồi.")
    expect(account).to_contain_text("Làm mịn hạt ảnh")
    expect(viewer).to_contain_text("Mức phục hồi")


def shot(viewer: Locator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The picture without its edges, where labels and the divider are."""
    picture = Image.open(io.BytesIO(stage(viewer).screenshot())).convert("RGB")
    width, height = picture.size
    inner = picture.crop((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    return np.asarray(inner, np.float32)


def test_less_strength_is_mixed_exactly_in_the_browser(page: Page, live_server: Server) -> None:
    page.emulate_media(reduced_motion="reduce")
    viewer = viewed(page, live_server)
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

    def render(route: Route) -> None:
        strength = json.loads(route.request.post_data or "")["strength"]
        asked.append(strength)
        job_id = live_server.submit(ONE["buffer"], strength=strength)
        route.fulfill(status=201, json={"job_id": job_id, "status": "queued"})

    page.route("**/api/v1/jobs/*/render", render)
    viewer = viewed(page, live_server)
    result, first = (
        viewer.locator("[data-part=after]"),
        viewer.locator("[data-part=after]").get_attribute("src"),
    )
    strength_is_ready(viewer).fill("0.8")
    expect(viewer).to_contain_text("the server is sending the full restoration")
    expect(result).to_have_css("opacity", "0.8", timeout=PATIENCE_MS)
    assert asked == [1.0]
    assert result.get_attribute("src") != first

    viewer.get_by_role("button", name="Save this strength").click()
    expect(viewer).to_contain_text("Saved at 80%", timeout=PATIENCE_MS)
    assert asked == [1.0, 0.8]
    expect(result).to_have_css("opacity", "1")
    download = viewer.get_by_role("link", name="Download")
    saved = result.get_attribute("src") or ""
    assert saved.endswith(download.get_attribute("href") or "nothing")
    expect(viewer.get_by_role("button", name="Save this strength")).to_be_disabled()


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
    page: Page, live_server: Server, console: Console, status: int, body: dict[str, str], sentence: str
) -> None:
    console.expect(str(status))
    page.route("**/api/v1/jobs/*/render", lambda route: route.fulfill(status=status, json=body))
    viewer = viewed(page, live_server)
    strength_is_ready(viewer).fill("0.9")
    expect(viewer.locator("[data-part=strength-note]")).to_contain_text(sentence)
    expect(strength_is_ready(viewer)).to_have_value("0.9")


def test_delete_now_asks_first_and_goes_on_to_the_next(
    page: Page, live_server: Server, console: Console
) -> None:
    console.expect("500")
    answers = iter([500, 200, 200])
    deleted: list[str] = []

    def delete(route: Route) -> None:
        deleted.append(f"{route.request.method} {route.request.url}")
        route.fulfill(status=next(answers), json={"code": "internal_error", "detail": "Not now."})

    page.route("**/api/v1/jobs/*/files", delete)
    viewer = viewed(page, live_server, ONE, TWO)
    question = page.get_by_role("dialog", name="Delete this photo from the server?")
    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Keep it").click()
    expect(question).to_be_hidden()
    assert deleted == []

    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Delete now").click()
    expect(question.get_by_role("alert")).to_have_text("Not now.")
    question.get_by_role("button", name="Delete now").click()
    expect(question).to_be_hidden()
    expect(page.get_by_role("dialog", name="two.jpg")).to_be_visible()
    assert re.fullmatch(r"DELETE .*/api/v1/jobs/[\w-]+/files", deleted[-1])

    viewer.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Delete now").click()
    expect(viewer).to_be_hidden()
    assert len(set(deleted)) == 2


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "gone"])
def test_after_a_reload_the_original_comes_from_the_server(
    page: Page, live_server: Server, console: Console, is_kept: bool
) -> None:
    console.expect("410")
    answer = {"body": ONE["buffer"], "content_type": "image/jpeg"} if is_kept else {"status": 410}
    page.route("**/results/*/original?*", lambda route: route.fulfill(**answer))
    restored(page, live_server, ONE)
    page.reload()
    viewer = open_viewer(page)
    divider = viewer.locator("[data-part=handle]")
    if is_kept:
        expect(divider).to_be_visible()
        boxes_in_step(viewer)
        strength_is_ready(viewer)
    else:
        expect(divider).to_be_hidden()
        expect(viewer.locator("[data-part=after]")).to_be_visible()
        expect(viewer.get_by_role("button", name="Original")).to_be_disabled()
        expect(viewer.locator("[data-part=strength-section]")).to_be_hidden()


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": 390, "height": 844})
    return page


Points = tuple[tuple[float, float], ...]


def touched(session: CDPSession, *moments: Points) -> None:
    """Fingers that come down, move and leave."""
    for kind, points in (*zip(("touchStart", "touchMove"), moments, strict=True), ("touchEnd", ())):
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_fingers_swipe_pinch_and_move_the_divider(phone: Page, live_server: Server) -> None:
    viewer = viewed(phone, live_server, ONE, TWO)
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
def test_a_phone_has_room_for_all_of_it(phone: Page, live_server: Server, language: str) -> None:
    viewer = viewed(phone, live_server, ONE, TWO)
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
def test_the_large_view_is_accessible(
    page: Page, live_server: Server, theme: Literal["light", "dark"]
) -> None:
    viewer = viewed(page, live_server, ONE, TWO)
    strength_is_ready(viewer).fill("0.4")
    assert_accessible(page, theme=theme, within="#viewer")
    page.keyboard.press("?")
    assert_accessible(page, theme=theme, within="#viewer-keys")
