"""`/docs` in a real browser: it shows every contract, and asks nobody else for anything."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.functional.server import Server


def test_the_reference_needs_no_other_server(page: Page, live_server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live_server.url}/docs")
    generate = page.locator(".opblock").filter(has_text="Make a picture from a prompt")
    expect(generate).to_be_visible()
    generate.locator("button").first.click()
    expect(generate.get_by_text("A lighthouse at dusk").first).to_be_visible()
    expect(generate.get_by_text("422", exact=True).first).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith((live_server.url, "data:", "blob:"))]
    assert elsewhere == []
