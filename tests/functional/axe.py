"""Accessibility, as far as axe-core can see it."""

from __future__ import annotations

from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}
_axe = Axe()


def assert_accessible(page: Page, *, theme: Literal["light", "dark"], within: str | None = None) -> None:
    """Fails on what axe-core finds serious or critical in `theme`, below the selector `within` or everywhere.

    Motion is switched off first: a colour on its way to another has no contrast to speak of.
    """
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found: list[dict[str, Any]] = _axe.run(page, context=within).response["violations"]
    grave = [violation for violation in found if violation["impact"] in _GRAVE]
    assert not grave, "\n".join(map(_told, grave))


def _told(violation: dict[str, Any]) -> str:
    places = ", ".join(str(node["target"]) for node in violation["nodes"])
    reasons = violation["nodes"][0]["failureSummary"]
    return f"{violation['id']} ({violation['impact']}): {violation['help']}, at {places}. {reasons}"
