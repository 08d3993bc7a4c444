"""Does every accepted job end, once, whatever dies meanwhile?

Starts a PostgreSQL cluster and a Redis of its own, two API processes and two workers; submits jobs through both
APIs; kills a worker with -9 every few seconds, restarts Redis empty, restarts PostgreSQL; then looks at rows,
logs and files. Exit code 1 on any breach. Run it with the project's environment:
`.venv/bin/python benchmarks/chaos.py --jobs 500`. It uses loopback only and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.server import Server  # noqa: E402
from tests.servers import PostgresServer, RedisServer, Worker  # noqa: E402

_SIZE = (96, 72)
_AT_ONCE = 6
_LANES = {"builtin": "local", "generic": "hosted"}
_ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Told:
    """What the clients were told."""

    job_ids: dict[str, str] = field(default_factory=dict)
    """By idempotency key."""
    answers: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0


@dataclass
class Files:
    """Looks at the results all the time: none may change once it is there."""

    folder: Path
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    overwritten: set[str] = field(default_factory=set)

    def look(self) -> None:
        for path in self.folder.glob("*.*"):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            now = (found.st_size, found.st_mtime_ns)
            if self.seen.setdefault(path.name, now) != now:
                self.overwritten.add(path.name)


def photo(number: int) -> bytes:
    """A small photo unlike all others."""
    picture = Image.new("RGB", _SIZE, (number * 37 % 256, number * 91 % 256, number * 53 % 256))
    ImageDraw.Draw(picture).text((4, 4), str(number), fill=(255, 255, 255))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


async def submit_all(urls: list[str], told: Told, options: argparse.Namespace) -> None:
    """As patient clients: each repeats what failed on its way, with the same Idempotency-Key."""
    places = asyncio.Semaphore(_AT_ONCE)
    started = time.monotonic()
    deadline = started + options.within_seconds

    async def one(client: httpx.AsyncClient, number: int) -> None:
        key = uuid4().hex
        await asyncio.sleep(options.over_seconds * number / options.jobs)
        async with places:
            for attempt in range(10_000):
                if time.monotonic() > deadline:
                    return
                answer = await post(client, urls[(number + attempt) % 2], number, key)
                if answer is not None and answer.status_code == 201:
                    told.job_ids[key] = answer.json()["job_id"]
                    return
                await asyncio.sleep(0.5)

    async def post(client: httpx.AsyncClient, url: str, number: int, key: str) -> httpx.Response | None:
        try:
            answer = await client.post(
                f"{url}/v1/restore",
                files={"image": ("photo.png", photo(number))},
                headers={"Idempotency-Key": key},
            )
        except httpx.HTTPError as error:
            told.answers[type(error).__name__] += 1
            return None
        told.answers[str(answer.status_code)] += 1
        if answer.status_code == 503 and "retry-after" not in answer.headers:
            told.without_retry_after += 1
        return answer

    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        await asyncio.gather(*(one(client, number) for number in range(options.jobs)))


async def rows(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(
            await connection.fetch(
                "select id::text, lower(status::text) as status, runs, error_code from jobs"
            )
        )
    finally:
        await connection.close()


def wait_for_all(url: str, jobs: int, files: Files, seconds: float) -> list[Any]:
    deadline = time.monotonic() + seconds
    while True:
        files.look()
        try:
            found = asyncio.run(rows(url))
        except (OSError, asyncpg.PostgresError):
            found = []
        left = jobs - sum(row["status"] in _ENDED for row in found)
        if left <= 0 or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def times_succeeded(workers: list[Worker]) -> Counter[str]:
    count: Counter[str] = Counter()
    for line in "\n".join(worker.log for worker in workers).splitlines():
        if '"restore.succeeded"' in line:
            count[json.loads(line)["job_id"]] += 1
    return count


def undecodable(folder: Path, job_ids: list[str]) -> list[str]:
    bad = []
    for job_id in job_ids:
        try:
            with Image.open(folder / f"{job_id}.png") as picture:
                picture.load()
                if picture.size != _SIZE:
                    bad.append(job_id)
        except OSError:
            bad.append(job_id)
    return bad


class Havoc(threading.Thread):
    """Kills and restarts while jobs come in and are worked on."""

    def __init__(
        self, workers: list[Worker], redis: RedisServer, postgres: PostgresServer, options: argparse.Namespace
    ) -> None:
        super().__init__(name="havoc", daemon=True)
        self._workers = workers
        self._redis, self._postgres = redis, postgres
        self._every_seconds: float = options.every_seconds
        self._most_kills: int = options.kills
        self._starts: dict[int, int] = {}
        """How often a worker had reported its start when its present process began, by process id."""
        self.stop = threading.Event()
        self.done: Counter[str] = Counter()

    @property
    def is_complete(self) -> bool:
        wanted = self.done["worker"] >= min(self._most_kills, 2)
        return wanted and self.done["redis"] == 1 and self.done["postgres"] == 1

    def run(self) -> None:
        turn = 0
        while not self.stop.wait(self._every_seconds * random.uniform(0.6, 1.4)):
            turn += 1
            if self.done["worker"] < self._most_kills:
                self._kill(self._workers[turn % 2])
            if turn == 1:
                self._redis.stop()
                self._redis.start()
                self.done["redis"] += 1
            if turn == 2:
                self._postgres.stop()
                time.sleep(1.0)
                self._postgres.start()
                self.done["postgres"] += 1

    def _kill(self, worker: Worker) -> None:
        """One that still starts is left alone: on a slow machine, no job would ever be worked on."""
        starts = worker.log.count('"worker.started"')
        if starts > self._starts.get(worker.pid, 0):
            worker.kill()
            worker.start(wait=False)
            self._starts[worker.pid] = starts
            self.done["worker"] += 1


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # What was started is ended then, too.
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="relume-chaos-"))
    told, files = Told(), Files(folder / "data" / "processed_images")
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer(folder / "redis"))
        settings = {
            "STORAGE_DIR": str(folder / "data"),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "PROVIDER": options.provider,
            "LEASE_SECONDS": "3",
            "SWEEP_SECONDS": "0.5",
            "RESULT_CACHE_ENABLED": "false",
            "RESULT_TTL_MINUTES": "0",
        }
        apis = [Server(folder / f"api{number}", **settings) for number in (1, 2)]
        for api in apis:
            stack.enter_context(api)
        lane = _LANES[options.provider]
        workers = [Worker(folder / f"worker{number}", "--lanes", lane, **settings) for number in (1, 2)]
        for worker in workers:
            stack.enter_context(worker)
        havoc = Havoc(workers, redis, postgres, options)
        havoc.start()
        asyncio.run(submit_all([api.url for api in apis], told, options))
        while havoc.is_alive() and not havoc.is_complete:
            time.sleep(0.2)
        found = wait_for_all(postgres.url, options.jobs, files, options.within_seconds)
        havoc.stop.set()
        havoc.join(60)
        time.sleep(1.0)  # A log line follows its commit.
        files.look()
        breaches = judge(options, told, files, found, times_succeeded(workers), havoc)
    summary = {
        "jobs": options.jobs,
        "seconds": round(time.monotonic() - started, 1),
        "answers": dict(told.answers),
        "kills": havoc.done["worker"],
        "runs": sum(row["runs"] for row in found),
        "breaches": breaches,
    }
    print(json.dumps(summary, indent=2))
    if breaches:
        print(f"Logs and data are kept in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def judge(
    options: argparse.Namespace,
    told: Told,
    files: Files,
    found: list[Any],
    succeeded: Counter[str],
    havoc: Havoc,
) -> list[str]:
    """What went wrong, in sentences."""
    accepted = sorted(told.job_ids.values())
    by_id = {row["id"]: row["status"] for row in found}
    silent = [job_id for job_id in accepted if succeeded[job_id] == 0]
    findings = {
        "requests were never accepted": options.jobs - len(accepted),
        "jobs were accepted twice": len(accepted) - len(set(accepted)),
        "rows are nobody's": len(set(by_id) - set(accepted)),
        "jobs did not succeed": sum(by_id.get(job_id) != "succeeded" for job_id in accepted),
        "jobs were told as succeeded more than once": sum(number > 1 for number in succeeded.values()),
        # A kill between the commit and the line: at most one for each job that a killed worker had.
        "jobs were never told as succeeded": len(silent) if len(silent) > 2 * havoc.done["worker"] else 0,
        "results were overwritten": len(files.overwritten),
        "results are missing or cannot be decoded": len(undecodable(files.folder, accepted)),
        "requests were answered with 500": told.answers["500"],
        "answers 503 had no Retry-After": told.without_retry_after,
    }
    breaches = [f"{number} {what}" for what, number in findings.items() if number]
    if not havoc.is_complete:
        breaches.append(f"only this was done: {dict(havoc.done)}")
    return breaches


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=1000, help="most kills of a worker")
    parser.add_argument("--every-seconds", type=float, default=5.0, help="between kills")
    parser.add_argument(
        "--within-seconds", type=float, default=600.0, help="for submitting, and for the rest"
    )
    parser.add_argument("--over-seconds", type=float, default=60.0, help="for all to come in")
    parser.add_argument("--provider", choices=sorted(_LANES), default="builtin")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
