"""The whole application in this process, over its real parts, and a client that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from relume.http.app import create_app
from relume.settings import load_settings
from relume.wiring.services import Services
from tests.patience import PATIENCE


@dataclass
class Client:
    """An HTTP client of the application, and the application's insides."""

    http: httpx.AsyncClient
    services: Services

    async def restore(self, data: bytes | None, **fields: Any) -> httpx.Response:
        """`POST /v1/restore`; header values by `headers=`."""
        headers = fields.pop("headers", None)
        files = (
            {"image": ("../../etc/passwd", data, "text/plain")} if data is not None else {"none": (None, b"")}
        )
        form = {name: str(value) for name, value in fields.items()}
        return await self.http.post("/v1/restore", files=files, data=form, headers=headers)

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Poll a job of contract D to its end."""
        last = 0.0
        async with asyncio.timeout(PATIENCE):
            while True:
                state: dict[str, Any] = (await self.http.get(f"/v1/jobs/{job_id}")).json()
                assert state["progress"] >= last, "progress never goes back"
                last = state["progress"]
                if state["status"] in ("succeeded", "failed"):
                    return state
                await asyncio.sleep(0.02)

    async def restored(self, data: bytes, **fields: Any) -> httpx.Response:
        """Restore a photo and fetch its result."""
        accepted = await self.restore(data, **fields)
        assert accepted.status_code == 201, accepted.text
        state = await self.ended(accepted.json()["job_id"])
        assert state["status"] == "succeeded", state
        return await self.http.get(state["result_url"])


Start = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an application with settings of the test's choice; no rate limit unless asked for."""

    @asynccontextmanager
    async def started(**settings: Any) -> AsyncIterator[Client]:
        chosen = {"storage_dir": str(tmp_path / "data"), "rate_limit_per_min": 0} | settings
        app = create_app(load_settings(**chosen))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://relume.test") as http,
        ):
            yield Client(http, app.state.services)

    return started


@pytest.fixture
async def client(start: Start) -> AsyncIterator[Client]:
    async with start() as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> str:
    """Assert an error of the problem shape; give its sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code)
    detail: str = body["detail"]
    assert detail.endswith((".", "!"))
    for leak in ("Traceback", "/tmp", "/home", "site-packages", "relume/"):
        assert leak not in detail
    return detail
