"""`GET /health/detailed`: each part that Relume leans on, whether it works, and how quickly it answers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from relume import __version__
from relume.errors import KeyMissing, KeyWrong
from relume.http.gate import Gate
from relume.http.lookout import Lookout
from relume.http.problems import documented
from relume.jobs.pulse import ALIVE
from relume.ports import Provider
from relume.providers import reach
from relume.telemetry import logger
from relume.wiring.roles import LANES
from relume.wiring.services import Services

log = logger(__name__)

_PATIENCE_SECONDS = 3.0
_FRESH_SECONDS = {"storage": 10.0, "provider": 30.0}
"""What costs a request elsewhere, or a write, is not done again so soon."""
LOW_DISK_BYTES = 1_000_000_000
_BROKER_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


class State(StrEnum):
    UP = "up"
    LOW = "low"
    RESTING = "resting"
    DOWN = "down"
    OFF = "off"


class Check(BaseModel):
    """`off` is what is not configured; `resting` is a provider that failed too often lately; `low` a full disk."""

    status: State
    needed: bool
    """Whether the service is unhealthy without it."""
    latency_ms: float | None = None
    detail: str | None = None


class Overall(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class DetailedHealth(BaseModel):
    status: Overall
    service: Literal["relume"] = "relume"
    version: str = __version__
    mode: Literal["embedded", "distributed"]
    checks: dict[str, Check]
    """Of database, broker, storage and disk."""
    workers: dict[str, Check]
    """By lane."""
    providers: dict[str, Check]


class Fault(Exception):
    """A part does not work; the message is for everybody who may ask."""


Look = Callable[[], Coroutine[Any, Any, str | None]]
"""Gives a detail to tell, or None. Raises whatever is wrong."""


class Examiner:
    """Looks at all parts at once, and waits for none of them longer than its patience."""

    def __init__(self, services: Services, lookout: Lookout) -> None:
        self._services = services
        self._settings = services.settings
        self._lookout = lookout

    async def examine(self) -> DetailedHealth:
        parts = {
            "database": self._look("database", self._database, needed=True),
            "broker": self._broker(),
            "storage": self._look("storage", self._storage, needed=True, fresh=_FRESH_SECONDS["storage"]),
            "disk": self._disk(),
        }
        workers = {lane: self._workers(lane) for lane in LANES}
        providers = {provider.name: self._provider(provider) for provider in self._services.catalog.providers}
        groups = await asyncio.gather(*(_gathered(group) for group in (parts, workers, providers)))
        return DetailedHealth(
            status=overall([check for group in groups for check in group.values()]),
            mode=self._services.mode,
            checks=groups[0],
            workers=groups[1],
            providers=groups[2],
        )

    async def _look(self, name: str, look: Look, *, needed: bool, fresh: float = 0.0) -> Check:
        async def timed() -> tuple[str | None, float]:
            started = time.perf_counter()
            detail = await look()
            return detail, round((time.perf_counter() - started) * 1000, 2)

        try:
            detail, latency_ms = await self._lookout.ask(
                f"health {name}", timed, patience_seconds=_PATIENCE_SECONDS, fresh_seconds=fresh
            )
        except TimeoutError:
            return Check(
                status=State.DOWN,
                needed=needed,
                detail=f"It did not answer within {_PATIENCE_SECONDS:g} seconds.",
            )
        except Fault as fault:
            return Check(status=State.DOWN, needed=needed, detail=str(fault))
        except Exception as error:  # noqa: BLE001 (what it was stands in the log, not in the answer)
            log.warning("health.check_failed", part=name, cause=repr(error))
            return Check(status=State.DOWN, needed=needed, detail="It does not work; the log says why.")
        return Check(status=State.UP, needed=needed, latency_ms=latency_ms, detail=detail)

    async def _database(self) -> None:
        await self._services.database.check()

    async def _storage(self) -> None:
        await self._services.store.check()

    async def _broker(self) -> Check:
        url = self._settings.celery_broker_url
        if not url:
            return Check(status=State.OFF, needed=False, detail="This process does the work itself.")

        async def look() -> None:
            if not await connects(url, _PATIENCE_SECONDS):
                raise Fault("It cannot be reached.")

        return await self._look("broker", look, needed=True)

    async def _disk(self) -> Check:
        folder = self._services.data_folder
        if folder is None:
            return Check(status=State.OFF, needed=False, detail="Files are not kept on this machine.")

        async def look() -> str:
            disk = await anyio.to_thread.run_sync(shutil.disk_usage, folder)
            if disk.free < LOW_DISK_BYTES:
                raise Fault(f"Only {disk.free / 1e9:.1f} GB are free.")
            return f"{disk.free / 1e9:.0f} GB of {disk.total / 1e9:.0f} GB are free."

        check = await self._look("disk", look, needed=False)
        if check.status is State.DOWN:
            check.status = State.LOW
        return check

    async def _workers(self, lane: str) -> Check:
        """Without a worker nothing moves; in embedded mode the process that answers is one."""

        async def look() -> str:
            since = self._services.clock.now() - ALIVE
            rows = await self._services.figures.processes(since)
            number = sum(lane in row.lanes.split(",") for row in rows)
            if not number:
                raise Fault(f"None gave a sign of life within {ALIVE.total_seconds():g} seconds.")
            return f"{number} {'process' if number == 1 else 'processes'}"

        return await self._look(f"worker {lane}", look, needed=self._services.mode == "distributed")

    async def _provider(self, provider: Provider) -> Check:
        if (reason := provider.unavailable()) is not None:
            return Check(status=State.OFF, needed=False, detail=f"{reason[:1].upper()}{reason[1:]}.")
        resting = self._services.catalog.breakers.open_tasks(provider.name)
        if resting:
            what = ", ".join(sorted(resting))
            return Check(status=State.RESTING, needed=False, detail=f"It failed too often lately at: {what}.")
        urls = reach.addresses(self._settings).get(provider.name, ())
        if not urls:
            return Check(status=State.UP, needed=False)

        async def look() -> None:
            if not await reach.reach(urls, _PATIENCE_SECONDS):
                raise Fault("It cannot be reached.")

        return await self._look(
            f"provider {provider.name}", look, needed=False, fresh=_FRESH_SECONDS["provider"]
        )


def router(services: Services, gate: Gate, lookout: Lookout) -> APIRouter:
    routes = APIRouter(tags=["operations"])
    examiner = Examiner(services, lookout)

    @routes.get(
        "/health/detailed",
        summary="Whether each part works",
        dependencies=[Depends(gate.require_key)],
        response_model=DetailedHealth,
        responses=documented(KeyMissing, KeyWrong)
        | {503: {"model": DetailedHealth, "description": "Something that is needed does not work"}},
    )
    async def detailed(response: Response) -> DetailedHealth:
        """For people and alerts. A load balancer asks `/health`: a database that is down is down for all."""
        found = await examiner.examine()
        response.headers["Cache-Control"] = "no-store"
        response.status_code = 503 if found.status is Overall.UNHEALTHY else 200
        return found

    return routes


def overall(checks: list[Check]) -> Overall:
    if any(check.needed and check.status is State.DOWN for check in checks):
        return Overall.UNHEALTHY
    if any(check.status in (State.DOWN, State.LOW, State.RESTING) for check in checks):
        return Overall.DEGRADED
    return Overall.HEALTHY


async def connects(broker_url: str, seconds: float) -> bool:
    """Whether a port of the broker takes a connection. Of several brokers, separated by `;`, one is enough."""
    for url in broker_url.split(";"):
        parts = urlsplit(url)
        port = parts.port or _BROKER_PORTS.get(parts.scheme.partition("+")[0], 0)
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except (OSError, TimeoutError):
            continue
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
    return False


async def _gathered(group: dict[str, Coroutine[Any, Any, Check]]) -> dict[str, Check]:
    return dict(zip(group, await asyncio.gather(*group.values()), strict=True))
