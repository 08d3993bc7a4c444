"""The distributed mode as operators run it: API and worker processes over a real broker."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from kombu.connection import Connection

from tests import photos
from tests.functional.server import Server
from tests.peers import RABBITMQ_URL, missing
from tests.servers import PostgresServer, RedisServer, Worker, until

pytestmark = pytest.mark.timeout(240)  # Three processes start, each of which loads the whole service.

SETTINGS = {"SWEEP_SECONDS": "0.2", "RESULT_CACHE_ENABLED": "false"}
LONG_LEASE = {"LEASE_SECONDS": "600"}
"""Heartbeats so far apart that nothing which happens in a test can be their doing."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    if RedisServer.program is None:
        missing("redis-server")
    with RedisServer(tmp_path / "redis") as server:
        yield server


def settings_of(tmp_path: Path, redis: RedisServer, **more: str) -> dict[str, str]:
    return SETTINGS | {"STORAGE_DIR": str(tmp_path / "data"), "REDIS_URL": redis.url} | more


def rows(tmp_path: Path) -> list[tuple[str, int, str | None]]:
    """Status, runs and lease of every job."""
    with closing(sqlite3.connect(tmp_path / "data" / "relume.sqlite3")) as database:
        return list(database.execute("select lower(status), runs, lease_token from jobs"))


def running(tmp_path: Path) -> int:
    return sum(status == "running" for status, _, _ in rows(tmp_path))


def test_a_job_goes_from_one_api_through_a_worker_to_another_api(tmp_path: Path, redis: RedisServer) -> None:
    settings = settings_of(tmp_path, redis, **LONG_LEASE)
    with (
        Server(tmp_path / "one", **settings) as one,
        Server(tmp_path / "two", **settings) as two,
        Worker(tmp_path / "worker", **settings) as worker,
    ):
        until(lambda: worker.log.count('"worker.started"') == 2)
        job = one.submit(photos.encoded("PNG", 120, 90), upscale=2)
        with two.client() as client, client.stream("GET", f"/v1/jobs/{job}/events") as stream:
            told = [line for line in stream.iter_lines() if line.startswith("event:")]
            assert told[-1] == "event: done"
        (state,) = two.wait([job])
        assert state["status"] == "succeeded"
        with two.client() as client:
            assert photos.opened(client.get(state["result_url"]).content).size == (240, 180)
        assert '"restore.started"' not in one.log + two.log, "an API process runs no jobs itself"
        until(lambda: f'"job_id": "{job}"' in worker.log)
        assert worker.stop() == 0


def test_messages_that_the_broker_lost_are_repeated(tmp_path: Path, redis: RedisServer) -> None:
    settings = settings_of(tmp_path, redis)
    with Server(tmp_path / "api", **settings) as api:
        jobs = [api.submit(photos.encoded("PNG")) for _ in range(3)]
        redis.stop()
        jobs.append(api.submit(photos.encoded("PNG")))
        redis.start()
        with Worker(tmp_path / "worker", "--lanes", "local", **settings):
            assert {state["status"] for state in api.wait(jobs)} == {"succeeded"}
    assert [runs for _, runs, _ in rows(tmp_path)] == [1] * 4


def test_a_cancel_reaches_the_worker_that_runs_the_job(tmp_path: Path, redis: RedisServer) -> None:
    settings = settings_of(tmp_path, redis, PROVIDER="mock", **LONG_LEASE) | {
        "REPLICATE_API_TOKEN": "mock_token_for_demo",
        "REPLICATE_MOCK_DELAY_MIN": "600",
        "REPLICATE_MOCK_DELAY_MAX": "600",
        "PROVIDER_TIMEOUT_SECONDS": "3600",
    }
    with (
        Server(tmp_path / "api", **settings) as api,
        Worker(tmp_path / "worker", "--lanes", "hosted", **settings),
    ):
        job = api.submit(photos.encoded("PNG"))
        until(lambda: api.states([job])[0]["progress"] > 0)
        with api.client() as client:
            assert client.delete(f"/v1/jobs/{job}").status_code == 200
        (state,) = api.wait([job])
        assert (state["status"], state["error"]) == ("failed", "The job was cancelled.")
        assert [status for status, _, _ in rows(tmp_path)] == ["cancelled"]


def test_a_killed_worker_loses_no_job(tmp_path: Path, redis: RedisServer) -> None:
    settings = settings_of(tmp_path, redis, PROVIDER="generic", LEASE_SECONDS="2")
    with (
        Server(tmp_path / "api", **settings) as api,
        Worker(tmp_path / "worker", "--lanes", "hosted", **settings) as worker,
    ):
        jobs = [api.submit(photos.encoded("PNG")) for _ in range(4)]
        until(lambda: running(tmp_path) > 0)
        worker.kill()
        worker.start()
        assert {state["status"] for state in api.wait(jobs)} == {"succeeded"}
        until(lambda: worker.log.count('"restore.succeeded"') == 4)
    ended = [json.loads(line) for line in worker.log.splitlines() if '"restore.succeeded"' in line]
    assert sorted(event["job_id"] for event in ended) == sorted(jobs)


@pytest.mark.parametrize(("stop_seconds", "status", "runs"), [("0", "queued", 0), ("60", "succeeded", 1)])
def test_a_stopped_worker_finishes_its_jobs_or_gives_them_back(
    tmp_path: Path, redis: RedisServer, stop_seconds: str, status: str, runs: int
) -> None:
    settings = settings_of(
        tmp_path, redis, PROVIDER="generic", WORKER_STOP_SECONDS=stop_seconds, **LONG_LEASE
    )
    with (
        Server(tmp_path / "api", **settings) as api,
        Worker(tmp_path / "worker", "--lanes", "hosted", **settings) as worker,
    ):
        jobs = [api.submit(photos.encoded("PNG")) for _ in range(3)]
        until(lambda: running(tmp_path) == 3)
        assert worker.stop() == 0
        assert rows(tmp_path) == [(status, runs, None)] * 3
        worker.start()
        assert {state["status"] for state in api.wait(jobs)} == {"succeeded"}


def test_the_supervisor_replaces_a_dead_child_and_is_not_outlived(tmp_path: Path, redis: RedisServer) -> None:
    with Worker(tmp_path / "worker", **settings_of(tmp_path, redis)) as worker:
        until(lambda: worker.log.count('"worker.started"') == 2)
        supervisor = psutil.Process(worker.pid)
        first, second = supervisor.children()
        first.kill()
        until(lambda: worker.log.count('"worker.started"') == 3)
        children = supervisor.children()
        assert len(children) == 2
        assert second in children
        supervisor.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []


@pytest.fixture
def rabbitmq() -> Iterator[Any]:
    """A connection to the server."""
    broker: Any = Connection(RABBITMQ_URL, connect_timeout=3)  # type: ignore[no-untyped-call]
    try:
        broker.ensure_connection(max_retries=1, timeout=5)
    except OSError:
        missing("A RabbitMQ server (RELUME_TEST_RABBITMQ_URL)")
    yield broker
    broker.release()


def test_jobs_travel_over_rabbitmq_as_well(tmp_path: Path, redis: RedisServer, rabbitmq: Any) -> None:
    queues = [f"test-{uuid4().hex[:8]}.{lane}" for lane in ("local", "hosted")]
    settings = settings_of(tmp_path, redis) | {
        "CELERY_BROKER_URL": RABBITMQ_URL,
        "QUEUE_PREFIX": queues[0].partition(".")[0],
    }
    try:
        with Server(tmp_path / "api", **settings) as api:
            jobs = [api.submit(photos.encoded("PNG"))]
            until(lambda: depth(rabbitmq, queues[0]) == 1)
            with rabbitmq.channel() as channel:
                channel.queue_purge(queues[0])  # It is lost.
            jobs.append(api.submit(photos.encoded("PNG")))
            with Worker(tmp_path / "worker", "--lanes", "local", **settings):
                assert [state["status"] for state in api.wait(jobs)] == ["succeeded"] * 2
    finally:
        with rabbitmq.channel() as channel:
            for name in queues:
                channel.queue_delete(name)


def depth(broker: Any, queue: str) -> int:
    try:
        with broker.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except broker.channel_errors:
        return 0


def test_an_api_whose_database_is_away_says_so_and_comes_back(tmp_path: Path) -> None:
    if PostgresServer.programs is None:
        missing("initdb and postgres")
    with PostgresServer() as postgres:
        settings = {"DATABASE_URL": postgres.url, "PROVIDER": "builtin"}
        with Server(tmp_path / "api", **settings) as api, api.client() as client:
            job = api.submit(photos.encoded("PNG"))
            assert api.wait([job])[0]["status"] == "succeeded"
            postgres.stop()
            asked = client.get(f"/v1/jobs/{job}")
            sent = client.post("/v1/restore", files={"image": ("photo", photos.encoded("PNG"))})
            told = client.post(
                "/api/ai/hd-image", json={"image": base64.b64encode(photos.encoded("PNG")).decode()}
            )
            for answer in (asked, sent):
                assert (answer.status_code, answer.json()["code"]) == (503, "service_away")
                assert int(answer.headers["retry-after"]) > 0
                assert "database" in answer.json()["detail"]
            assert (told.status_code, told.json()["success"]) == (503, False)
            assert "retry-after" in told.headers
            assert client.get("/health").status_code == 200
            postgres.start()
            assert client.get(f"/v1/jobs/{job}").json()["status"] == "succeeded"
            assert api.wait([api.submit(photos.encoded("PNG"))])[0]["status"] == "succeeded"
        assert '"http.database_away"' in api.log
        assert '"http.fault"' not in api.log


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_api_without_a_broker_loads_no_task_queue() -> None:
    told = run("-c", "import sys, relume.http.server; print(sorted({'celery', 'kombu'} & set(sys.modules)))")
    assert told.stdout.strip() == "[]", told.stderr


def test_a_worker_without_a_broker_says_what_to_do(tmp_path: Path) -> None:
    told = run("-m", "relume", "worker", STORAGE_DIR=str(tmp_path), CELERY_BROKER_URL="", REDIS_URL="")
    assert told.returncode == 2
    assert "CELERY_BROKER_URL is not set" in told.stderr


def test_the_tables_can_be_made_beforehand(tmp_path: Path) -> None:
    environment = {"STORAGE_DIR": str(tmp_path / "data"), "DATABASE_URL": ""}
    assert run("-m", "relume", "db", "check", **environment).returncode == 1
    assert run("-m", "relume", "db", "upgrade", **environment).returncode == 0
    assert run("-m", "relume", "db", "check", **environment).returncode == 0


def test_with_postgresql_a_start_may_be_told_to_leave_the_tables_alone(tmp_path: Path) -> None:
    if PostgresServer.programs is None:
        missing("initdb and postgres")
    with PostgresServer() as postgres:
        settings = {"DATABASE_URL": postgres.url, "DATABASE_UPGRADE_AT_START": "false", "API_PORT": "0"}
        refused = run("-m", "relume", "serve", STORAGE_DIR=str(tmp_path / "data"), **settings)
        assert refused.returncode != 0
        assert "relume db upgrade" in refused.stderr
        assert run("-m", "relume", "db", "upgrade", **settings).returncode == 0
        with Server(tmp_path / "api", **settings) as api:
            assert httpx.get(f"{api.url}/health", trust_env=False).status_code == 200


@pytest.mark.timeout(300)
def test_chaos_in_short(tmp_path: Path) -> None:
    """Jobs end once, while workers are killed and both servers are restarted."""
    if RedisServer.program is None or PostgresServer.programs is None:
        missing("redis-server, initdb and postgres")
    script = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
    options = ("--jobs", "40", "--kills", "2", "--every-seconds", "3", "--over-seconds", "10")
    process = subprocess.Popen(
        [sys.executable, str(script), *options, "--within-seconds", "100"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told, _ = process.communicate(timeout=270)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # It ends what it has started.
        told, _ = process.communicate()
    assert process.returncode == 0, told
