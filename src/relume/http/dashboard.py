"""The dashboard's static files: compressed once, revalidated always, under a strict Content-Security-Policy."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent.parent / "dashboard"
SHELL_SCRIPT = "shell.js"
"""No file: tells the service worker (`worker.js`) which files there are, and what version they make."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_TEXT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_OTHER_TYPES = {".png": "image/png"}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    media_type: str
    compresses: bool

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:20]

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 9, mtime=0)

    def answer(self, asked: Headers, status_code: int = 200) -> Response:
        """In the form that the client takes; 304 where it has that already. Each form has an ETag of its own."""
        as_gzip = self.compresses and _takes_gzip(asked.get("accept-encoding", ""))
        headers = _HEADERS | {"ETag": f'"{self.digest}{"-gzip" if as_gzip else ""}"'}
        if self.compresses:
            headers["Vary"] = "Accept-Encoding"
        if _names(asked.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if as_gzip:
            headers["Content-Encoding"] = "gzip"
        content = self.compressed if as_gzip else self.content
        return Response(content, status_code, headers, self.media_type)


def _takes_gzip(accepted: str) -> bool:
    """By RFC 9110: named and not refused with q=0."""
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _names(if_none_match: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or tags == {"*"}


@lru_cache(maxsize=256)
def _asset(path: Path, _modified_ns: int, _size: int) -> _Asset:
    """Read and compressed once for as long as the file is the same."""
    kinds = _TEXT_TYPES | _OTHER_TYPES
    return _Asset(
        path.read_bytes(), kinds.get(path.suffix, "application/octet-stream"), path.suffix in _TEXT_TYPES
    )


def _asset_of(path: Path, seen: os.stat_result | None = None) -> _Asset:
    seen = seen or path.stat()
    return _asset(path, seen.st_mtime_ns, seen.st_size)


def _files() -> Iterator[Path]:
    kinds = _TEXT_TYPES | _OTHER_TYPES
    return (path for path in sorted(FOLDER.rglob("*")) if path.suffix in kinds)


def _shell() -> _Asset:
    """`self.SHELL = {version, files}`. Any changed byte of any file gives another version."""
    digests = {path.relative_to(FOLDER).as_posix(): _asset_of(path).digest for path in _files()}
    version = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]
    shell = json.dumps({"version": version, "files": list(digests)})
    return _Asset(f"self.SHELL = {shell};\n".encode(), _TEXT_TYPES[".js"], compresses=True)


class DashboardFiles(StaticFiles):
    """Static files with the page's security headers; revalidated each time, so that an update shows at once."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path == SHELL_SCRIPT and scope["method"] in ("GET", "HEAD"):
            return _shell().answer(Headers(scope=scope))
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        return _asset_of(Path(full_path), stat_result).answer(Headers(scope=scope), status_code)


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
        if path in ("/", f"/{SHELL_SCRIPT}") or "\0" in path:
            return "\0" not in path
        found = (FOLDER / path.lstrip("/")).resolve()
        return found.is_relative_to(FOLDER.resolve()) and found.is_file() and found.suffix != ".py"
