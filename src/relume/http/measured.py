"""Counts and times every HTTP request, by the template of its route."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relume.metrics import REQUEST_DURATION, REQUESTS
from relume.ports import Meters

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
_DASHBOARD = "/dashboard"


class Measured:
    """ASGI middleware, around all others. Paths never become labels: those of no route count as `other`."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answered = False

        async def watch(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and not answered:
                answered = True
                self._count(scope, int(message["status"]), time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if not answered:  # Whoever stands around this answers with 500.
                self._count(scope, 500, time.perf_counter() - started)
            raise

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = _template(scope)
        self._meters.count(REQUESTS, method=method, route=route, status=f"{status // 100}xx")
        self._meters.observe(REQUEST_DURATION, seconds, method=method, route=route)


def _template(scope: Scope) -> str:
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    return _DASHBOARD if scope["path"].startswith(_DASHBOARD) else _OTHER
