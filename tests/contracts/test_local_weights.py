"""Weights that come into the folder while the service runs: lists, the restore itself, and whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relume.wiring import services
from tests import photos
from tests.contracts.conftest import Client, Start
from tests.unit.engines.nets import compact, need_packages, put

MODEL = "enlarging/standard-1"


async def until(client: Client, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask `/info` until it says so."""
    async with asyncio.timeout(120):
        while True:
            told: dict[str, Any] = (await client.http.get("/info")).json()
            if is_so(told):
                return told
            await asyncio.sleep(0.05)


async def providers(client: Client) -> list[str]:
    models = (await client.http.get("/v1/models")).json()["models"]
    (names,) = (model["providers"] for model in models if model["id"] == MODEL)
    return list(names)


async def enlarged_by(client: Client) -> dict[str, Any]:
    """The account of a photo's enlargement."""
    accepted = await client.restore(photos.encoded("PNG"), model_id=MODEL, upscale=2)
    job_id = accepted.json()["job_id"]
    async with asyncio.timeout(300):
        while (await client.http.get(f"/v1/jobs/{job_id}")).json()["status"] in (
            "queued",
            "running",
        ):
            await asyncio.sleep(0.05)
    (step,) = (await client.http.get(f"/restore/{job_id}")).json()["metadata"]["steps"]
    assert isinstance(step, dict)
    return step


@pytest.mark.timeout(600)
async def test_weights_come_and_go_while_the_service_runs(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_packages()
    monkeypatch.setattr(services, "LOOK_AROUND_SECONDS", 0.05)
    folder = tmp_path / "weights"
    async with start(weights_dir=folder) as client:
        assert (await until(client, lambda _told: True))["local_weights"] == []
        assert await providers(client) == ["builtin"]
        assert (await enlarged_by(client))["credits"] == []

        weights = put(compact(2), folder)
        told = await until(client, lambda told: bool(told["local_weights"]))
        (here,) = told["local_weights"]
        assert (here["model"], here["kind"]) == ("RealESRGAN Compact", "upscaler")
        assert (here["version"], here["licence"], here["by"]) == (weights.sha256[:12], "unknown", "")
        assert told["chains"]["upscale"] == ["local", "builtin"]
        assert await providers(client) == ["local", "builtin"]
        health = (await client.http.get("/health/detailed")).json()
        assert health["providers"]["local"]["status"] == "up"
        step = await enlarged_by(client)
        assert step["provider"] == "local", "the same photo, but not the same result"
        (credit,) = step["credits"]
        assert (credit["model"], credit["licence"]) == ("RealESRGAN Compact", "unknown")

        weights.path.unlink()
        told = await until(client, lambda told: not told["local_weights"])
        assert told["chains"]["upscale"] == ["builtin"]
        assert (await enlarged_by(client))["provider"] == "builtin"
