"""How many jobs a second the engine accepts and ends, side by side with a bare endpoint and with plain Celery.

Three comparisons in one run, each in processes of its own on loopback:

accepted    `POST /v1/restore`, answered when photo and row are on the disk, against a FastAPI endpoint under the
            same server that reads the same upload and forgets it. With a JPEG of 3 KB and with one of 276 KB;
            with the embedded default (SQLite; one place, so that next to no job runs meanwhile) and with
            PostgreSQL and Celery's queue (Redis), where workers would be elsewhere.
ended       a backlog of jobs whose provider does nothing, worked off by the embedded queue in one process,
            against a backlog of Celery tasks that do nothing, in one worker process (Redis, acks_late).
through     jobs sent over HTTP until all have ended. `--set NAME=VALUE` gives the service other settings and
            `--worker COMMAND` starts a worker beside it: this is how to measure another queue.

Run it with the project's environment: `.venv/bin/python benchmarks/engine.py`. It starts a Redis of its own
(`redis-server` must be installed for the Celery part) and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import numpy as np
import redis
from celery import Celery
from fastapi import FastAPI, Request
from PIL import Image
from sqlalchemy import make_url

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.server import Server  # noqa: E402
from tests.peers import POSTGRES_URL  # noqa: E402
from tests.servers import RedisServer, answers, free_port, until  # noqa: E402

from relume.database import Database, database_url  # noqa: E402 (the path has to be known first)
from relume.fetch import UrlFetcher  # noqa: E402
from relume.http.server import _listen, _server  # noqa: E402
from relume.imaging.limits import Limits  # noqa: E402
from relume.imaging.photo import Photo  # noqa: E402
from relume.jobs.repository.jobs import JobRepository  # noqa: E402
from relume.jobs.runner import Runner  # noqa: E402
from relume.jobs.service import JobService, Submission  # noqa: E402
from relume.loops import event_loop_factory  # noqa: E402
from relume.outbound import UrlPolicy  # noqa: E402
from relume.pipeline import Pipeline  # noqa: E402
from relume.ports import Result, RunContext  # noqa: E402
from relume.providers.chain import Chain  # noqa: E402
from relume.queues.embedded import EmbeddedQueue  # noqa: E402
from relume.queues.events import MemoryEvents  # noqa: E402
from relume.recipes import TEXT_MODEL, Recipe, build  # noqa: E402
from relume.settings import load_settings  # noqa: E402
from relume.storage.local import FolderStore  # noqa: E402
from relume.tasks import GenerateText, Task  # noqa: E402
from relume.telemetry import configure_logging  # noqa: E402
from relume.wiring.roles import SystemClock  # noqa: E402
from relume.wiring.storage import storage_areas  # noqa: E402

_CONNECTIONS = 32
_PLACES = 64
_PROMPT = {"prompt": "A photo of nothing"}


def photo(seed: int) -> bytes:
    """A small photo of its own, about 3 KB."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((128, 96), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


@functools.cache
def usual_photo() -> bytes:
    """1400 by 1050 pixels in about 276 KB."""
    noise = np.random.default_rng(1).integers(0, 255, (263, 350, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((1400, 1050), Image.Resampling.BICUBIC).save(out, "JPEG", quality=37)
    return out.getvalue()


def marked(data: bytes, seed: int) -> bytes:
    """The same picture in a file of its own: the number stands in a comment."""
    comment = f"{seed:08}".encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


# Accepted


def request_of(host: str, data: bytes) -> bytes:
    """The same upload for both sides, as it goes over the wire."""
    form = httpx.Request(
        "POST", f"http://{host}/v1/restore", files={"image": ("photo.jpg", data, "image/jpeg")}
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in form.headers.items())
    return f"POST /v1/restore HTTP/1.1\r\n{head}\r\n".encode() + form.read()


async def rate_of(url: str, uploads: list[bytes]) -> tuple[float, list[str]]:
    """Answers a second to `uploads` over keep-alive connections, and the bodies of the answers."""
    host, port = url.removeprefix("http://").split(":")
    left = iter([request_of(f"{host}:{port}", data) for data in uploads])
    bodies: list[str] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for request in left:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert " 20" in head.splitlines()[0], head
            length = int(head.partition("content-length:")[2].split()[0])
            bodies.append((await reader.readexactly(length)).decode())
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CONNECTIONS)))
    return len(uploads) / (time.perf_counter() - started), bodies


def serve_bare(port: int) -> None:
    """Reads an upload and answers, under the server that Relume uses."""
    app = FastAPI()

    @app.post("/v1/restore", status_code=201)
    async def restore(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            upload = form["image"]
            return {"bytes": len(await upload.read())}  # type: ignore[union-attr]

    settings = load_settings()
    configure_logging("WARNING")
    server, listener = _server(app, settings, lifespan="off"), _listen("127.0.0.1", port, "API_PORT")
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


def accepted(number: int, times: int, settings: dict[str, str]) -> dict[str, dict[str, float]]:
    """For each size and each way of running, the best of `times` on each side, taken in turns."""
    found = {}
    for size, data in (("3_kb", photo(0)), (f"{len(usual_photo()) // 1000}_kb", usual_photo())):
        uploads = [marked(data, seed) for seed in range(number)]
        best: dict[str, float] = {}
        for _ in range(times):
            for side, server in sides(settings).items():
                with server as url:
                    asyncio.run(rate_of(url, uploads[:100]))
                    best[side] = max(best.get(side, 0.0), asyncio.run(rate_of(url, uploads[100:]))[0])
        found[size] = {f"{side}_per_second": round(rate) for side, rate in best.items()} | {
            f"{side}_ratio": round(best[side] / best["bare"], 2) for side in ("embedded", "celery")
        }
    return found


def sides(settings: dict[str, str]) -> dict[str, contextlib.AbstractContextManager[str]]:
    return {
        "bare": bare_server(),
        "embedded": relume_server({"WORKER_CONCURRENCY": "1"} | settings),
        "celery": distributed_server(settings),
    }


@contextlib.contextmanager
def relume_server(settings: dict[str, str]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), **settings) as server:
        yield server.url


@contextlib.contextmanager
def distributed_server(settings: dict[str, str]) -> Iterator[str]:
    """An API process with a database in PostgreSQL and a Redis of its own; no worker runs."""
    name = f"relume_bench_{os.getpid()}"
    url = make_url(POSTGRES_URL)
    asyncio.run(in_postgres(f'create database "{name}"'))
    own = url.set(database=name).render_as_string(hide_password=False)
    try:
        with (
            own_redis() as broker,
            relume_server({"CELERY_BROKER_URL": broker, "DATABASE_URL": own} | settings) as address,
        ):
            yield address
    finally:
        asyncio.run(in_postgres(f'drop database "{name}" with (force)'))


async def in_postgres(statement: str) -> None:
    connection = await asyncpg.connect(POSTGRES_URL)
    await connection.execute(statement)
    await connection.close()


@contextlib.contextmanager
def bare_server() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--serve-bare", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(port), why="the bare endpoint did not start")
        yield url
    finally:
        process.terminate()
        process.wait()


# Ended


class NothingToDo:
    """Gives back what it gets, at once."""

    name = "nothing"
    is_local = True
    needs_device = False

    def supports(self, task: Task) -> bool:
        del task
        return True

    def unavailable(self) -> str | None:
        return None

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        context.progress(0.5, task.name)
        text = "done" if isinstance(task, GenerateText) else None
        return Result(photo, self.name, "Nothing", "1", changed=False, text=text)


async def work_off(recipe: Recipe, number: int, folder: Path) -> float:
    """Jobs a second from the first end to the last, of a backlog in SQLite."""
    settings = load_settings(storage_dir=str(folder))
    clock, events = SystemClock(), MemoryEvents()
    database = Database(database_url(settings))
    await database.upgrade()
    repository, store = JobRepository(database), FolderStore(storage_areas(settings))
    chain = Chain([NothingToDo()], {})
    pipeline, limits = Pipeline(lambda _recipe: chain), Limits()
    fetcher = UrlFetcher(UrlPolicy(()))
    runner = Runner(
        repository=repository,
        store=store,
        events=events,
        pipeline=pipeline,
        fetcher=fetcher,
        clock=clock,
        limits=limits,
        lease=timedelta(seconds=60),
        keep_files=timedelta(hours=1),
    )
    queue = EmbeddedQueue(
        runner.run,
        lambda: repository.due.ids(clock.now()),
        places={"hosted": _PLACES},
        sweep_seconds=settings.sweep_seconds,
    )
    service = JobService(
        repository=repository,
        store=store,
        queue=queue,
        events=events,
        pipeline=pipeline,
        clock=clock,
        limits=limits,
        keep_files=timedelta(hours=1),
    )
    for start in range(0, number, 100):
        seeds = range(start, start + 100)
        jobs = [
            Submission("v1", recipe, "hosted", data=photo(seed))
            if recipe.needs_photo
            else Submission("v1", recipe, "hosted", parameters=_PROMPT)
            for seed in seeds
        ]
        await asyncio.gather(*(service.submit(job) for job in jobs))
    await queue.start()

    async def ended() -> int:
        counts = await repository.counts()
        assert not counts.get("failed"), "a job that does nothing has failed"
        return counts.get("succeeded", 0)

    rate = await watched(ended, number)
    await queue.stop()
    await fetcher.close()
    await database.close()
    return rate


async def watched(ended: Callable[[], Any], number: int) -> float:
    """Jobs a second from the first that is seen to have ended to the last."""
    while not (first := await ended()):
        await asyncio.sleep(0.01)
    started = time.perf_counter()
    while (now := await ended()) < number:
        await asyncio.sleep(0.05)
    return float(now - first) / (time.perf_counter() - started)


def work_off_in_process(kind: str, number: int) -> float:
    """In a process of its own, as the worker of Celery is."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--work-off", kind, "--jobs", str(number), "--folder", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def make_celery(url: str) -> Celery:
    app = Celery("nothing", broker=url)
    app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)

    @app.task(name="nothing")
    def nothing(job_id: str) -> None:
        del job_id

    return app


if "NOTHING_BROKER" in os.environ:
    celery_app = make_celery(os.environ["NOTHING_BROKER"])


def celery_rate(number: int, pool: list[str]) -> float:
    """Tasks a second of one worker process, from the first that is acknowledged to the last."""
    with own_redis() as url:
        app = make_celery(url)
        for job_id in range(number):
            app.send_task("nothing", [str(job_id)])
        broker = redis.Redis.from_url(url)

        async def ended() -> int:
            with broker.pipeline() as both:
                waiting, unacknowledged = both.llen("celery").hlen("unacked").execute()
            return number - int(waiting) - int(unacknowledged)

        command = [sys.executable, "-m", "celery", "-A", "engine:celery_app", "worker", "-l", "ERROR", *pool]
        worker = subprocess.Popen(
            command,
            cwd=Path(__file__).parent,
            env=os.environ | {"NOTHING_BROKER": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return asyncio.run(watched(ended, number))
        finally:
            worker.terminate()
            worker.wait()
            broker.close()


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        yield server.url


def ended(number: int, times: int) -> dict[str, float]:
    best: dict[str, float] = {}
    sides: dict[str, Callable[[], float]] = {
        "relume_without_photo": lambda: work_off_in_process("text", number),
        "relume_with_photo": lambda: work_off_in_process("photo", number),
        "celery_threads": lambda: celery_rate(number, ["--pool", "threads", "-c", str(_PLACES)]),
        "celery_prefork": lambda: celery_rate(number, ["--pool", "prefork", "-c", "1"]),
    }
    for _ in range(times):
        for side, measure in sides.items():
            best[side] = max(best.get(side, 0.0), measure())
    return {f"{side}_per_second": round(rate) for side, rate in best.items()}


# Through


def through(number: int, settings: dict[str, str], worker: str | None) -> dict[str, float]:
    """From the first upload until the last job has ended, over HTTP; the mock provider labels each photo."""
    uploads = [photo(seed) for seed in range(number)]
    mock = {
        "REPLICATE_API_TOKEN": "mock_token_for_demo",
        "REPLICATE_MOCK_DELAY_MIN": "0",
        "REPLICATE_MOCK_DELAY_MAX": "0",
        "REPLICATE_MOCK_FAILURE_RATE": "0",
    }
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), **(mock | settings)) as server:
        environment = os.environ | {"STORAGE_DIR": str(Path(folder) / "data")} | mock | settings
        beside = subprocess.Popen(shlex.split(worker), env=environment) if worker else None
        try:
            started = time.perf_counter()
            _, bodies = asyncio.run(rate_of(server.url, uploads))
            states = server.wait([json.loads(body)["job_id"] for body in bodies], seconds=600)
            seconds = time.perf_counter() - started
        finally:
            if beside is not None:
                beside.terminate()
                beside.wait()
    succeeded = sum(state["status"] == "succeeded" for state in states)
    return {"succeeded": succeeded, "jobs_per_second": round(number / seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=[], help="accepted, ended, through; all without any")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--times", type=int, default=3, help="the best of so many is told")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--worker", help="a command that runs jobs beside the service, for `through`")
    parser.add_argument("--serve-bare", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work-off", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = dict(item.split("=", 1) for item in arguments.settings)
    if arguments.serve_bare:
        serve_bare(arguments.serve_bare)
    elif arguments.work_off:
        configure_logging("WARNING")
        recipe = build("restoration/gfpgans-1.4", scale=1)
        if arguments.work_off == "text":
            recipe = build(TEXT_MODEL, parameters=_PROMPT)
        with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
            print(runner.run(work_off(recipe, arguments.jobs, arguments.folder)))
    else:
        wanted = arguments.parts or ["accepted", "ended", "through"]
        if "accepted" in wanted:
            told = accepted(arguments.jobs, arguments.times, {"PROVIDER": "generic"} | settings)
            print(json.dumps({"accepted": told}), flush=True)
        if "ended" in wanted:
            print(json.dumps({"ended": ended(arguments.jobs, arguments.times)}), flush=True)
        if "through" in wanted:
            told = through(min(arguments.jobs, 500), settings, arguments.worker)
            print(json.dumps({"through": told}), flush=True)


if __name__ == "__main__":
    main()
