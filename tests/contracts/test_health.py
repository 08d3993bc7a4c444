"""`/health/detailed`: what works, what does not, and what it tells of it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

import pytest

from relume.http import health
from relume.http.lookout import Lookout
from tests.contracts.conftest import Client, Start, problem
from tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is no broken one."""
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 60.0)


async def examined(client: Client, status: int = 200) -> dict[str, Any]:
    answer = await client.http.get("/health/detailed")
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def alive(client: Client) -> None:
    """Wait for the first sign of life, a moment after the start."""
    async with asyncio.timeout(PATIENCE):
        while (await examined(client))["workers"]["local"]["status"] != "up":
            await asyncio.sleep(0.02)


async def test_everything_works(client: Client) -> None:
    await alive(client)
    told = await examined(client)
    assert (told["status"], told["mode"]) == ("healthy", "embedded")
    for part in ("database", "storage"):
        assert told["checks"][part]["status"] == "up"
        assert told["checks"][part]["needed"]
        assert told["checks"][part]["latency_ms"] >= 0
    assert told["checks"]["broker"]["status"] == "off"
    assert told["workers"]["hosted"]["detail"] == "1 process"
    assert told["providers"]["builtin"] == {
        "status": "up",
        "needed": False,
        "latency_ms": None,
        "detail": None,
    }
    assert told["providers"]["replicate"]["status"] == "off"


async def test_a_needed_part_that_fails_is_503_and_leaks_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise OSError("/secret/path on db.internal:5432 refused user relume")

    monkeypatch.setattr(client.services.database, "check", fail)
    answer = await client.http.get("/health/detailed")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert answer.json()["checks"]["database"]["status"] == "down"
    assert answer.json()["checks"]["storage"]["status"] == "up", "the others are still told"
    for secret in ("secret", "internal", "5432", str(client.services.data_folder)):
        assert secret not in answer.text
    assert (await client.http.get("/health")).status_code == 200, "a balancer must not drop every process"


async def test_a_part_that_hangs_keeps_nobody_waiting(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, go = 0, asyncio.Event()

    async def hang() -> None:
        nonlocal looked
        looked += 1
        await go.wait()

    monkeypatch.setattr(client.services.database, "check", hang)
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.2)
    for _ in range(3):
        told = await examined(client, 503)
        assert told["checks"]["database"]["detail"] == "It did not answer within 0.2 seconds."
    assert looked == 1, "a hanging look is not joined by others"
    go.set()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_full_disk_degrades(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(10**12, 10**12 - 4 * 10**8, 4 * 10**8))
    told = await examined(client)
    assert told["status"] == "degraded"
    disk = told["checks"]["disk"]
    assert (disk["status"], disk["detail"]) == ("low", "Only 0.4 GB are free.")


async def test_a_resting_provider_degrades(start: Start) -> None:
    async with start(replicate_api_token="r8_x") as client:
        for _ in range(5):
            client.services.catalog.breakers.of("replicate", "upscale").record(succeeded=False)
        told = await examined(client)
    assert told["status"] == "degraded"
    assert told["providers"]["replicate"]["status"] == "resting"
    assert "upscale" in told["providers"]["replicate"]["detail"]


@contextmanager
def server(status: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Answers everything with a status, and keeps the headers of each request."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", asked
        finally:
            listening.shutdown()
            thread.join()


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port that is taken, so that nobody else begins to listen at it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(("status", "state"), [(200, "up"), (404, "up"), (503, "down")])
async def test_providers_are_asked_without_a_token_and_not_all_the_time(
    start: Start, status: int, state: str
) -> None:
    with server(status) as (url, asked):
        async with start(replicate_api_token="r8_secret", replicate_base_url=url) as client:
            for _ in range(3):
                told = await examined(client)
                assert told["providers"]["replicate"]["status"] == state
    assert len(asked) == (1 if state == "up" else 3), "what works is not asked again for a while"
    assert "r8_secret" not in str(asked)


async def test_a_server_that_is_gone_is_down(start: Start) -> None:
    with nobody_listens() as port:
        async with start(cog_faces_url=f"http://127.0.0.1:{port}") as client:
            told = await examined(client)
    assert told["status"] == "degraded"
    assert told["providers"]["cog"] == {
        "status": "down",
        "needed": False,
        "latency_ms": None,
        "detail": "It cannot be reached.",
    }
    assert str(port) not in str(told)


async def test_without_workers_a_distributed_service_is_unhealthy(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(_since: object) -> list[object]:
        return []

    monkeypatch.setattr(client.services.figures, "processes", nobody)
    assert (await examined(client))["status"] == "degraded"

    with server(200) as (url, _):
        broker = url.replace("http", "redis")
        settings = client.services.settings.model_copy(update={"celery_broker_url": broker})
        monkeypatch.setattr(client.services, "settings", settings)
        found = await health.Examiner(client.services, Lookout()).examine()
    assert found.mode == "distributed"
    assert found.status is health.Overall.UNHEALTHY
    assert found.checks["broker"].status is health.State.UP
    assert (found.workers["local"].status, found.workers["local"].needed) == (health.State.DOWN, True)


async def test_a_broker_is_reachable_by_one_of_its_addresses() -> None:
    with server(200) as (url, _):
        port = url.rpartition(":")[2]
        assert await health.connects(f"redis://:secret@127.0.0.1:{port}/0", 60)
        assert await health.connects(f"amqp://guest@127.0.0.1:1//;amqp://guest@127.0.0.1:{port}//", 60)
    with nobody_listens() as closed:
        assert not await health.connects(f"redis://127.0.0.1:{closed}/0", 60)


async def test_behind_the_key_where_there_is_one(start: Start) -> None:
    async with start(api_key="k3y") as client:
        problem(await client.http.get("/health/detailed"), 401, "key_missing")
        assert (await client.http.get("/health/detailed", headers={"x-api-key": "k3y"})).status_code == 200
        assert (await client.http.get("/health")).status_code == 200
