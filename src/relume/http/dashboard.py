"""The dashboard's static files, under a strict Content-Security-Policy."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent.parent / "dashboard"

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class DashboardFiles(StaticFiles):
    """Static files with the page's security headers; revalidated each time, so that an update shows at once."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def install(app: FastAPI) -> None:
    @app.get("/dashboard", include_in_schema=False)
    async def dashboard() -> Response:
        return RedirectResponse("/dashboard/")

    app.mount("/dashboard", DashboardFiles(), name="dashboard")


class DashboardAtRoot:
    """The same service with the dashboard at `/`: what `DASHBOARD_PORT` serves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = DashboardFiles()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_page(scope["path"]):
            await self._files(scope, receive, send)
        elif scope["type"] != "lifespan":
            await self._app(scope, receive, send)

    def _is_page(self, path: str) -> bool:
        if path == "/" or "\0" in path:
            return path == "/"
        found = (FOLDER / path.lstrip("/")).resolve()
        return found.is_relative_to(FOLDER.resolve()) and found.is_file() and found.suffix != ".py"
