"""What stands around the dashboard's views, in a real browser: navigation, themes, and life without a network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.functional.dashboard_page import Server, expect_ready, open_dashboard, photo, restored

A_VIEW = """
import { t } from '../i18n.js';
export async function mount(root, { api, openViewer, params }) {
  const given = [typeof api.json, typeof openViewer, params.get('state')].join(' ');
  root.innerHTML = `<h1>${t('nav.history')}: ${given}</h1>`;
  return () => document.body.setAttribute('data-left', 'history');
}
"""


def test_views_are_loaded_when_wanted_and_photos_stay(page: Page, live_server: Server) -> None:
    page.route(
        "**/views/history.js*", lambda route: route.fulfill(body=A_VIEW, content_type="text/javascript")
    )
    restored(page, live_server, photo())
    page.evaluate("location.hash = '#/history?state=failed'")
    heading = page.get_by_role("heading", name="History: function function failed")
    expect(heading).to_be_focused()
    expect(page).to_have_title("History · Relume")
    views = page.get_by_role("navigation", name="Views")
    expect(views.get_by_role("link", name="History")).to_have_attribute("aria-current", "page")
    expect(page.locator(".card")).to_be_hidden()

    views.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", name="Your photos")).to_be_focused()
    expect(page.locator(".card")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-left", "history")
    expect(heading).not_to_be_attached()
    assert page.evaluate("scrollY") == 0


def test_a_view_that_does_not_load_is_offered_again(page: Page, live_server: Server) -> None:
    attempts: list[str] = []

    def stumble(route: Route) -> None:
        attempts.append(route.request.url)
        broken = len(attempts) == 1
        route.fulfill(body="throw new Error()" if broken else A_VIEW, content_type="text/javascript")

    page.route("**/views/history.js*", stumble)
    open_dashboard(page, live_server, "#/history")
    expect(page.get_by_role("alert")).to_contain_text("This part of the page could not be loaded.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_the_skip_link_leads_to_the_content_and_keeps_the_view(page: Page, live_server: Server) -> None:
    open_dashboard(page, live_server)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    skip.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert "#main" not in page.url


def test_the_theme_is_chosen_and_remembered(page: Page, live_server: Server) -> None:
    def background() -> str:
        colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return colour

    page.emulate_media(color_scheme="light")
    open_dashboard(page, live_server)
    paper = background()
    page.get_by_role("button", name="Colours: as on this device").click()
    assert background() == paper
    page.get_by_role("button", name="Colours: light").click()
    dark = background()
    assert dark != paper
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert background() == dark
    assert page.locator("meta[name=theme-color]").get_attribute("content") == dark


@pytest.fixture
def installed(browser: Browser, live_server: Server) -> Iterator[Page]:
    """The page with its service worker in charge."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    open_dashboard(page, live_server)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("navigator.serviceWorker.controller?.state === 'activated'")
    yield page
    context.close()


def test_the_pages_own_files_are_kept_and_shown_without_a_network(installed: Page) -> None:
    kept: list[str] = installed.evaluate(
        """async () => {
          const [name, ...others] = await caches.keys();
          if (others.length) throw new Error(`more than one cache: ${others}`);
          return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
        }"""
    )
    assert "/dashboard/index.html" in kept
    assert "/dashboard/locales/vi.js" in kept
    assert all(path.startswith("/dashboard/") for path in kept)

    installed.context.set_offline(True)
    installed.reload()
    expect_ready(installed)
    expect(installed.get_by_role("heading", name="Old photos, seen clearly again.")).to_be_visible()
    expect(installed.locator("#banner")).to_contain_text("You are offline.")
    installed.context.set_offline(False)
    expect(installed.locator("#banner")).to_be_hidden()


def test_the_manifest_names_icons_that_are_there(live_server: Server) -> None:
    page = f"{live_server.url}/dashboard/"
    with httpx.Client(trust_env=False) as client:
        manifest = client.get(f"{page}manifest.webmanifest").raise_for_status().json()
        assert manifest["scope"] == "./"
        assert urljoin(page, manifest["start_url"]) == page
        pictures = [icon for icon in manifest["icons"] if icon["type"] == "image/png"]
        assert [icon["sizes"] for icon in pictures] == ["192x192", "512x512", "512x512"]
        for icon in pictures:
            content = client.get(urljoin(page, icon["src"])).raise_for_status().content
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                assert f"{image.width}x{image.height}" == icon["sizes"]
