"""What failed, on the real service: why is told in the reader's language, and it can be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.functional.browser_fixtures import Console
from tests.functional.dashboard_page import add, card, expect_state, open_dashboard, photo
from tests.functional.server import Server
from tests.functional.test_dashboard import assert_fits
from tests.functional.test_dashboard_views import MOCK_MODE, draw, job, jobs

NOBODY_LISTENS = "127.0.0.1:9"
ALLOWED = {"FETCH_ALLOWED_HOSTS": NOBODY_LISTENS}
WORKS = MOCK_MODE | ALLOWED
BROKEN = WORKS | {
    "REPLICATE_MOCK_FAILURE_RATE": "1",
    "CHAIN_RESTORE_FACES": "cog",
    "COG_FACES_URL": f"http://{NOBODY_LISTENS}",
    "MAX_RETRY_ATTEMPTS": "1",
}
NO_SERVICE = "Hiện chưa có dịch vụ nào làm được việc này. Hãy thử lại sau."
NOT_FETCHED = "Không tải được ảnh từ địa chỉ đã cho."


def error_of(row: Locator) -> Locator:
    return row.locator("[data-part=error]")


def test_why_it_failed_is_told_in_the_readers_language_everywhere(page: Page, tmp_path: Path) -> None:
    with Server(tmp_path, **BROKEN) as server:
        open_dashboard(page, server)
        add(page, photo())
        on_start = card(page, "astronaut.jpg")
        expect_state(on_start, "failed")
        expect(error_of(on_start)).to_contain_text("All services failed: ")
        page.get_by_role("link", name="Generate").click()
        on_generate = draw(page, "A lake")
        expect_state(on_generate, "failed")
        expect(error_of(on_generate)).to_contain_text("All services failed: ")
        page.get_by_role("link", name="History").click()
        for name in ("astronaut.jpg", "A lake"):
            expect(error_of(job(page, name))).to_contain_text("All services failed: ")

        page.get_by_role("button", name="Tiếng Việt").click()
        for name in ("astronaut.jpg", "A lake"):
            expect(error_of(job(page, name))).to_have_text(NO_SERVICE)
        page.get_by_role("link", name="Tạo ảnh").click()
        expect(error_of(on_generate)).to_have_text(NO_SERVICE)
        page.get_by_role("link", name="Bắt đầu").click()
        expect(error_of(on_start)).to_have_text(NO_SERVICE)


def _fail(client: httpx.Client) -> list[str]:
    """A photo, one by its URL, a prompt, and in a batch what is no photo. Gives the ids of the first three."""
    image = photo()["buffer"]
    sent = client.post("/v1/restore", files={"image": ("lake.jpg", image)}).raise_for_status().json()
    by_url = client.post("/restore", json={"imageUrl": f"http://{NOBODY_LISTENS}/a.jpg"}).raise_for_status()
    client.post("/enhance", files=[("files", ("letter.jpg", b"Dear grandmother"))]).raise_for_status()
    drawn = client.post("/api/v1/generate", json={"prompt": "A lake"}).raise_for_status().json()
    return [sent["job_id"], by_url.json()["jobId"], drawn["id"]]


@pytest.fixture
def repaired(tmp_path: Path) -> Iterator[Server]:
    """It works again, after everything has failed."""
    with Server(tmp_path, **BROKEN) as broken:
        with broken.client() as client:
            ids = _fail(client)
        assert {state["status"] for state in broken.wait(ids)} == {"failed"}
    with Server(tmp_path, **WORKS) as server:
        yield server


def test_what_failed_is_tried_again_from_the_history(page: Page, repaired: Server, console: Console) -> None:
    open_dashboard(page, repaired, "#/history?status=failed")
    expect(jobs(page)).to_have_count(4)
    page.get_by_role("button", name="Tiếng Việt").click()
    by_url = jobs(page).filter(has_text=NOT_FETCHED)
    expect(by_url.get_by_role("button", name="Thử lại")).to_be_visible()
    refused = job(page, "letter.jpg")
    expect(error_of(refused)).to_have_text("Tệp này không phải ảnh JPEG, PNG, WebP hoặc HEIC.")
    expect(refused.get_by_role("button", name="Thử lại")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 850})
    assert_fits(page)

    page.get_by_role("button", name="English").click()
    page.get_by_label("State").select_option("In any state")
    console.expect("ERR_CONNECTION_RESET")
    keys = lose_the_first_answer(page)
    for name in ("lake.jpg", "A lake"):
        expect(job(page, name)).to_have_count(1)
        job(page, name).get_by_role("button", name="Try again").click()
        if name == "lake.jpg":
            expect(page.get_by_role("alert").filter(has_text="The connection was lost")).to_be_visible()
            job(page, name).last.get_by_role("button", name="Try again").click()
        expect(job(page, name)).to_have_count(2)
        expect(job(page, name).first.get_by_role("link", name="Download")).to_be_visible()
        expect(job(page, name).last).to_contain_text("Failed")
    assert keys[0] == keys[1] != keys[2], "nobody knew whether the first had arrived"

    by_url = jobs(page).filter(has_text="could not be reached")
    by_url.get_by_role("button", name="Try again").click()
    expect(by_url).to_have_count(2)


def lose_the_first_answer(page: Page) -> list[str]:
    """The service makes the job, and the page does not hear of it. Gives the keys of all tries, as they come."""
    keys: list[str] = []

    def answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
            return
        route.fetch()
        route.abort("connectionreset")

    page.route("**/api/v1/jobs/*/retry", answer)
    return keys
