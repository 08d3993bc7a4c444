"""Generate, History and Operations in a real browser, on the real service in mock mode."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from relume.picture_models import PICTURE_MODELS, Whole, Words
from tests.functional.axe import assert_accessible
from tests.functional.browser_fixtures import Console, opened_page
from tests.functional.dashboard_page import TIMES, expect_ready
from tests.functional.server import Server
from tests.functional.test_dashboard import assert_fits

PICTURES = 25
"""One more than a page of the history."""
OPERATOR = "sesame"
MOCK_MODE = {
    "REPLICATE_API_TOKEN": "mock_token_for_demo",
    "REPLICATE_MOCK_DELAY_MIN": "0",
    "REPLICATE_MOCK_DELAY_MAX": "0",
    "REPLICATE_MOCK_FAILURE_RATE": "0",
}
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="module")
def clients_key(folder: Path) -> str:
    """A key of somebody who is no operator, made before the service starts."""
    made = subprocess.run(
        [sys.executable, "-m", "relume", "keys", "create", "somebody"],
        cwd=folder,
        env=os.environ | {"STORAGE_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^\S{20,}$", made.stdout, re.MULTILINE)
    assert found, made.stdout
    return found[0]


@pytest.fixture(scope="module")
def server(folder: Path, clients_key: str) -> Iterator[Server]:
    """With a key, one failed photo, one restored one, and more pictures than a page shows."""
    del clients_key
    with Server(folder, API_KEY=OPERATOR, **MOCK_MODE) as started:
        with started.client() as client:
            _fill(client)
        yield started


def _jpeg() -> bytes:
    small = io.BytesIO()
    Image.new("RGB", (80, 60), "sienna").save(small, "JPEG")
    return small.getvalue()


SMALL = _jpeg()


def _fill(client: httpx.Client) -> None:
    files = [("files", ("harbour.jpg", SMALL)), ("files", ("letter.jpg", b"Dear grandmother"))]
    client.post("/enhance", files=files).raise_for_status()
    for prompt in ("A hen in a yard", *(f"Drawing {number + 1}" for number in range(PICTURES))):
        asked = {"prompt": prompt, "parameters": {"width": 64, "height": 64}}
        client.post("/api/v1/generate", json=asked).raise_for_status()


def open_view(page: Page, server: Server, path: str, key: str) -> Page:
    page.add_init_script(
        f"sessionStorage.getItem('relume.key') ?? sessionStorage.setItem('relume.key', '{key}')"
    )
    page.goto(f"{server.url}/dashboard/#/{path}")
    expect_ready(page)
    expect(page.locator("#outlet h1")).to_be_visible()
    return page


@pytest.fixture(scope="module")
def desk(browser: Browser, server: Server) -> Iterator[Page]:
    """The operator's tab."""
    with opened_page(browser, Console()) as page:
        yield open_view(page, server, "operations", OPERATOR)


@pytest.fixture
def view(desk: Page) -> Iterator[Open]:
    """Goes to a view in the operator's tab, as a link would; it is left again afterwards."""

    def go(path: str) -> Page:
        desk.evaluate("path => { location.hash = `#/${path}`; }", path)
        expect(desk.locator("#outlet h1")).to_be_visible()
        return desk

    yield go
    desk.unroute_all()
    desk.evaluate("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())")
    desk.evaluate("document.querySelector('[data-language=en]').click()")
    desk.emulate_media(color_scheme="null", reduced_motion="null")
    desk.set_viewport_size({"width": 1280, "height": 850})
    desk.evaluate("location.hash = '#/'")
    expect(desk.locator("#start")).to_be_visible()


def jobs(page: Page) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", level=2))


def job(page: Page, name: str) -> Locator:
    return jobs(page).filter(has=page.get_by_role("heading", name=name, exact=True))


# ── Generate ────────────────────────────────────────────────────────────────────────────────────


def draw(page: Page, prompt: str) -> Locator:
    page.get_by_label("What the picture is to show").fill(prompt)
    page.get_by_role("button", name="Draw").click()
    return page.locator(".card").filter(has=page.get_by_role("heading", name=prompt, exact=True))


def test_a_mock_picture_is_drawn_and_found_in_the_history(view: Open) -> None:
    page = view("generate")
    expect(page.get_by_text("Mock mode: you get a plain coloured field")).to_be_visible()
    page.get_by_role("radio", name="3:2").check()
    expect(page.get_by_text(f"1,248 {TIMES} 832 pixels")).to_be_visible()
    drawn = draw(page, "A lighthouse at dusk")
    expect(drawn).to_have_attribute("data-state", "done")
    expect(drawn.get_by_alt_text("Picture: A lighthouse at dusk")).to_be_visible()
    expect(drawn.locator("[data-part=details]")).to_contain_text(f"1,248 {TIMES} 832 pixels · Mock")
    with page.expect_download() as download:
        drawn.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "a-lighthouse-at-dusk.png"
    with Image.open(download.value.path()) as picture:
        assert picture.size == (1248, 832)

    page.get_by_role("link", name="History").click()
    page.get_by_role("searchbox").fill("LIGHTHOUSE")
    expect(jobs(page)).to_have_count(1)
    found = job(page, "A lighthouse at dusk")
    expect(found).to_contain_text(f"Drawn from words · 1,248 {TIMES} 832 · Mock")
    found.get_by_role("button", name="Look closer").click()
    expect(page.get_by_role("dialog", name="A lighthouse at dusk")).to_be_visible()


def test_a_drawing_can_be_cancelled_and_tried_again_and_outlives_the_view(view: Open) -> None:
    page = view("generate")

    def still_drawing(route: Route) -> None:
        if route.request.url.endswith("/events"):
            route.fulfill(content_type="text/event-stream", body=": nothing yet\n\n")
        else:
            route.fulfill(json={"status": "running", "progress": 0.4, "result_url": None, "error": None})

    page.route("**/v1/jobs/*", still_drawing)
    page.route("**/v1/jobs/*/events", still_drawing)
    drawn = draw(page, "A harbour in fog")
    expect(drawn).to_contain_text("Drawing, 40%")
    page.get_by_role("link", name="Operations").click()
    page.get_by_role("link", name="Generate").click()
    expect(drawn).to_contain_text("Drawing, 40%")
    drawn.get_by_role("button", name="Cancel").click()
    expect(drawn).to_have_attribute("data-state", "cancelled")

    page.unroute("**/v1/jobs/*")
    page.unroute("**/v1/jobs/*/events")
    drawn.get_by_role("button", name="Try again").click()
    expect(drawn).to_have_attribute("data-state", "done")
    page.reload()
    expect(drawn).to_have_attribute("data-state", "done")


def test_what_a_model_does_not_take_cannot_be_asked_for(view: Open) -> None:
    page = view("generate")
    assert_same_models(page)
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_text("Please say in a few words")).to_be_visible()
    expect(page.get_by_label("What the picture is to show")).to_be_focused()

    page.get_by_text("Seed, and what to leave out").click()
    expect(page.get_by_label("Leave out")).to_be_disabled()
    page.get_by_label("Model").select_option("Stable Diffusion")
    expect(page.get_by_label("Leave out")).to_be_enabled()

    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Width").fill("1000")
    page.get_by_label("What the picture is to show").fill("A hen")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_label("Width")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert").filter(has_text="in steps of 64")).to_be_visible()
    expect(page.get_by_role("heading", name="A hen", exact=True)).to_have_count(0)


def assert_same_models(page: Page) -> None:
    """The page's own table of what models take must not drift from the service's."""
    told = page.evaluate(
        """async (names) => {
          const { modelOf, SHAPES, sizeOf } = await import('./drawing.js');
          return names.map((name) => [modelOf(name), SHAPES.map((shape) => sizeOf(shape, modelOf(name)))]);
        }""",
        [*PICTURE_MODELS, "somebody/else"],
    )
    for (shown, sizes), model in zip(told, PICTURE_MODELS.values(), strict=False):
        rule = model.options["width"]
        assert isinstance(rule, Whole)
        assert (shown["side"], shown["most"], shown["step"]) == (model.side_pixels, rule.most, rule.step)
        assert shown["takesNegativePrompt"] == isinstance(model.options.get("negative_prompt"), Words)
        assert all(rule.accepts(size["width"]) and rule.accepts(size["height"]) for size in sizes)
        assert sizes[0]["width"] == sizes[0]["height"] == model.side_pixels
    assert told[-1][0]["most"] == 2048


def test_where_nobody_can_draw_the_page_says_how_to_change_that(view: Open, desk: Page) -> None:
    def without_a_token(route: Route) -> None:
        info = route.fetch().json()
        replicate = next(one for one in info["providers"] if one["name"] == "replicate")
        replicate["reason"] = "REPLICATE_API_TOKEN is not set"
        route.fulfill(json=info)

    desk.route("**/info", without_a_token)
    page = view("generate")
    expect(page.get_by_role("heading", name="Nothing is configured here that can draw")).to_be_visible()
    expect(page.get_by_text("REPLICATE_API_TOKEN", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Draw")).to_be_hidden()


# ── History ─────────────────────────────────────────────────────────────────────────────────────


def test_the_history_comes_in_pages_and_is_narrowed_from_the_address(view: Open) -> None:
    page = view("history?search=drawing+")
    expect(jobs(page)).to_have_count(24)
    page.get_by_role("button", name="Show more").click()
    expect(job(page, "Drawing 1")).to_be_visible()
    names = jobs(page).get_by_role("heading").all_text_contents()
    assert len(names) == len(set(names)) == PICTURES
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()

    page.get_by_role("searchbox").fill("")
    page.get_by_label("What was made").select_option("Photos")
    expect(job(page, "harbour.jpg")).to_be_visible()
    expect(job(page, "Drawing 25")).to_be_hidden()
    page.get_by_label("State").select_option("Failed")
    expect(job(page, "harbour.jpg")).to_be_hidden()
    expect(job(page, "letter.jpg").locator("[data-part=error]")).to_have_text(re.compile(r"^[A-Z].{15,}\.$"))
    page.get_by_label("State").select_option("In any state")
    page.get_by_role("searchbox").fill("harb")
    expect(page.get_by_text("1 job", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"#/history\?search=harb&kind=photo$"))

    page.reload()
    expect(jobs(page)).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("harb")
    page.get_by_role("searchbox").fill("nobody has this name")
    page.get_by_role("button", name="Show everything").click()
    expect(jobs(page)).to_have_count(24)


def test_files_are_deleted_only_after_a_question(view: Open) -> None:
    page = view("history?search=a+hen")
    row = job(page, "A hen in a yard")
    expect(row).to_contain_text(re.compile(r"(5\d|60) minutes left"))
    question = page.get_by_role("dialog", name="Delete these files now?")
    row.get_by_role("button", name="Delete now").click()
    question.get_by_role("button", name="Keep them").click()
    expect(row).to_contain_text("minutes left")

    row.get_by_role("button", name="Delete now").click()
    expect(question).to_contain_text("A hen in a yard")
    question.get_by_role("button", name="Delete now").click()
    expect(row).to_contain_text("Expired")
    expect(row.get_by_role("button", name="Delete now")).to_be_hidden()
    expect(row.get_by_role("link", name="Download")).to_be_hidden()


def test_the_list_follows_what_is_saved_and_deleted_in_the_large_view(view: Open, server: Server) -> None:
    with server.client() as client:
        sent = client.post("/v1/restore", files={"image": ("lake.jpg", SMALL)}, data={"strength": "0.6"})
    job_id = sent.raise_for_status().json()["job_id"]
    (done,) = server.wait([job_id])
    page = view("history?search=lake")
    job(page, "lake.jpg").get_by_role("button", name="Look closer").click()
    viewer = page.get_by_role("dialog", name="lake.jpg")
    strength = viewer.get_by_role("slider", name="Strength")
    expect(strength).to_be_enabled()
    strength.fill("0.3")
    viewer.get_by_role("button", name="Save this strength").click()
    expect(jobs(page)).to_have_count(2)

    viewer.get_by_role("button", name="Delete now").click()
    page.get_by_role("dialog", name="Delete this photo").get_by_role("button", name="Delete now").click()
    expect(viewer).to_be_hidden()
    expect(jobs(page).filter(has_text="Expired")).to_have_count(2)
    with server.client() as client:
        assert client.get(done["result_url"]).status_code == 410


def test_several_results_come_in_one_zip(view: Open) -> None:
    page = view("history?search=Drawing+2")
    for name in ("Drawing 21", "Drawing 22"):
        expect(job(page, name).get_by_role("link", name="Download")).to_be_visible()
        job(page, name).get_by_role("checkbox").check()
    chosen = page.get_by_role("region", name="What is chosen")
    expect(chosen).to_contain_text("2 chosen")
    with page.expect_download() as download:
        chosen.get_by_role("button", name="Download as ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = archive.namelist()
    assert sum(name.endswith(".png") for name in names) == 2
    chosen.get_by_role("button", name="Choose none").click()
    expect(chosen).to_be_hidden()


def test_a_client_sees_its_own_jobs_alone_and_no_figures(
    page: Page, server: Server, clients_key: str, console: Console
) -> None:
    console.expect("403")
    open_view(page, server, "history", clients_key)
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    expect(page.get_by_role("link", name="Restore photos")).to_be_visible()

    page.get_by_role("link", name="Operations").click()
    expect(page.get_by_role("heading", name="These figures are for operators")).to_be_visible()
    question = page.get_by_role("dialog", name="This Relume needs a key")
    expect(question).to_be_hidden()
    page.get_by_role("button", name="Enter another key").click()
    question.get_by_label("API key").fill(OPERATOR)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Who does the work")).to_be_visible()


# ── Operations ──────────────────────────────────────────────────────────────────────────────────


def test_operations_show_the_counts_and_offer_them_as_a_table(view: Open) -> None:
    page = view("operations")
    expect(
        page.get_by_role("img", name=re.compile(r"In the last 24 hours \d+ jobs succeeded, 1 failed"))
    ).to_be_visible()
    expect(page.get_by_text(re.compile("in order|something to look at"))).to_be_visible()
    expect(page.locator(".failure")).to_contain_text("letter.jpg")
    mock = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Mock", exact=True))
    expect(mock).to_contain_text(re.compile(r"\d\d succeeded, 0 failed today"))
    expect(page.locator(".part").filter(has_text="Database")).to_contain_text("up")
    page.get_by_text("As a table").click()
    cells = page.locator("tbody td").all_text_contents()
    assert len(cells) == 72
    assert sum(map(int, cells[0::3])) > PICTURES
    assert sum(map(int, cells[1::3])) == 1


def test_figures_that_grow_old_say_so(page: Page, server: Server, console: Console) -> None:
    console.expect("ERR_CONNECTION_RESET")
    open_view(page, server, "operations", OPERATOR)
    expect(page.get_by_role("heading", name="Who does the work")).to_be_visible()
    page.route("**/health/detailed", lambda route: route.abort("connectionreset"))
    expect(page.get_by_role("alert").filter(has_text="No answer since")).to_be_visible()
    expect(page.get_by_role("heading", name="Who does the work")).to_be_visible()


# ── All three ───────────────────────────────────────────────────────────────────────────────────

FEW_ROWS = {"history": "history?kind=photo"}  # axe looks at each row for a second
VIEWS = {
    "generate": ("Pictures from words", "Vẽ ảnh từ lời"),
    "history": ("History", "Lịch sử"),
    "operations": ("Operations", "Vận hành"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_accessible_fits_a_phone_and_speaks_both_languages(view: Open, name: str) -> None:
    page = view(FEW_ROWS.get(name, name))
    page.set_viewport_size({"width": 360, "height": 740})
    english, vietnamese = VIEWS[name]
    expect(page.get_by_role("heading", name=english, level=1)).to_be_visible()
    expect(page.locator("#outlet [aria-busy=true]")).to_have_count(0)
    assert_fits(page)
    page.get_by_role("button", name="Tiếng Việt").click()
    expect(page.get_by_role("heading", name=vietnamese, level=1)).to_be_visible()
    assert_fits(page)
    page.set_viewport_size({"width": 1280, "height": 850})
    assert_accessible(page, theme="light")
    assert_accessible(page, theme="dark")
