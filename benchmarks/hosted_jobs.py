"""How many hosted jobs one process carries at once, while it stays responsive.

Starts a double of Replicate that takes three seconds a prediction, and the real service, each in a process of
its own; submits 200 jobs at once; asks `/health` all the while; reads the service's memory. Run it with the
project's environment: `.venv/bin/python benchmarks/hosted_jobs.py`. It uses loopback only and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.server import Server  # noqa: E402 (the path has to be known first)

_POLL_SECONDS = 1.5  # as the contract recommends

_HEALTH = """
import sys, time, httpx
with httpx.Client(base_url=sys.argv[1], timeout=60, trust_env=False) as client:
    while True:
        started = time.perf_counter()
        client.get("/health").raise_for_status()
        print((time.perf_counter() - started) * 1000, flush=True)
        time.sleep(0.02)
"""
"""Asks from a process of its own, so that what is measured is the service and not this program."""


def photo(seed: int) -> bytes:
    """A small photo of its own, so that none is answered from the cache."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((128, 96), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


async def measure(server: Server, jobs: int) -> dict[str, float]:
    process = psutil.Process(server.pid)
    peak_bytes = [process.memory_info().rss]
    done = asyncio.Event()
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits, trust_env=False) as client:

        async def watch() -> None:
            while not done.is_set():
                peak_bytes[0] = max(peak_bytes[0], process.memory_info().rss)
                await asyncio.sleep(0.05)

        async def one(number: int) -> str:
            files = {"image": ("photo.jpg", photo(number))}
            answer = await client.post("/v1/restore", files=files, data={"upscale": "2"})
            job_id = answer.raise_for_status().json()["job_id"]
            while True:
                state = (await client.get(f"/v1/jobs/{job_id}")).json()["status"]
                if state in ("succeeded", "failed"):
                    return str(state)
                await asyncio.sleep(_POLL_SECONDS)

        watching = asyncio.create_task(watch())
        command = [sys.executable, "-c", _HEALTH, server.url]
        health = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        cpu_before = sum(process.cpu_times()[:2])
        started = time.perf_counter()
        states = await asyncio.gather(*(one(number) for number in range(jobs)))
        seconds = time.perf_counter() - started
        done.set()
        await watching
    health.terminate()
    health_ms = [float(line) for line in health.communicate()[0].split()]
    return {
        "jobs": jobs,
        "succeeded": states.count("succeeded"),
        "seconds": round(seconds, 2),
        "service_cpu_seconds": round(sum(process.cpu_times()[:2]) - cpu_before, 1),
        "peak_memory_mb": round(peak_bytes[0] / 1e6, 1),
        "health_calls": len(health_ms),
        "health_median_ms": round(statistics.median(health_ms), 1),
        "health_p99_ms": round(statistics.quantiles(health_ms, n=100)[98], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--latency", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "tests.doubles.replicate", "--latency", str(arguments.latency)]
    double = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert double.stdout is not None
    url = double.stdout.readline().strip()
    settings = {
        "REPLICATE_API_TOKEN": "r8_benchmark",
        "REPLICATE_BASE_URL": url,
        "WORKER_CONCURRENCY": str(arguments.concurrency),
    }
    try:
        with tempfile.TemporaryDirectory() as folder, Server(Path(folder), **settings) as server:
            print(json.dumps(asyncio.run(measure(server, arguments.jobs)), indent=2))
            states = httpx.get(f"{url}/control/state", trust_env=False).json()
            print("double:", {name: states[name] for name in ("counts",) if name in states})
    finally:
        double.terminate()
        double.wait()


if __name__ == "__main__":
    main()
