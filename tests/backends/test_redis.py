"""What processes tell each other through Redis, and what they do without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from relume.http.buckets import Buckets
from relume.jobs.models import JobStatus
from relume.ports import JobEvent
from relume.providers.breaker import LEAST_CALLS
from relume.providers.chain import Breakers
from relume.queues.redis_bus import RedisBus
from relume.queues.redis_events import RedisEvents
from relume.queues.redis_news import RedisBreakerNews
from relume.settings import load_settings
from tests.patience import PATIENCE
from tests.peers import missing
from tests.servers import RedisServer

Process = Callable[[], Awaitable[RedisBus]]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    if RedisServer.program is None:
        missing("redis-server")
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def process(redis: RedisServer) -> AsyncIterator[Process]:
    """Each call is the bus of another process."""
    async with AsyncExitStack() as stack:

        async def start() -> RedisBus:
            return await stack.enter_async_context(started(redis.url))

        yield start


@asynccontextmanager
async def started(url: str) -> AsyncIterator[RedisBus]:
    bus = RedisBus(url, "test")
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


async def eventually(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.02)


async def heard(events: RedisEvents, speaker: RedisEvents, event: JobEvent) -> JobEvent:
    """Say it until it is heard: events may be lost while connections are made."""
    async with asyncio.timeout(PATIENCE), aclosing(events.subscribe(event.job_id)) as stream:
        while True:
            speaker.publish(event)
            if found := await anext(stream):
                return found


async def pair(process: Process) -> tuple[RedisEvents, RedisEvents]:
    return RedisEvents(await process(), quiet_seconds=0.1), RedisEvents(await process(), quiet_seconds=0.1)


async def test_an_event_reaches_a_watcher_in_another_process(process: Process) -> None:
    one, two = await pair(process)
    event = JobEvent(uuid4(), JobStatus.RUNNING, 0.5, "denoise")
    assert await heard(two, one, event) == event


async def test_a_watcher_hears_of_its_own_job_alone(process: Process) -> None:
    one, two = await pair(process)
    mine, other = (JobEvent(uuid4(), JobStatus.RUNNING, 0.5, "x") for _ in range(2))
    one.publish(other)
    assert (await heard(two, one, mine)).job_id == mine.job_id


async def test_a_process_hears_its_own_event_once(process: Process) -> None:
    events = RedisEvents(await process(), quiet_seconds=0.1)
    event = JobEvent(uuid4(), JobStatus.RUNNING, 0.5, "x")
    async with aclosing(events.subscribe(event.job_id)) as stream:
        assert await anext(stream) is None
        events.publish(event)
        assert await anext(stream) == event
        assert [await anext(stream) for _ in range(5)] == [None] * 5


async def test_without_redis_a_watcher_looks_at_the_database_and_later_hears_again(
    redis: RedisServer, process: Process
) -> None:
    one, two = await pair(process)
    event = JobEvent(uuid4(), JobStatus.RUNNING, 0.5, "x")
    assert await heard(two, one, event) == event
    async with aclosing(two.subscribe(event.job_id)) as stream:
        assert await anext(stream) is None
        redis.stop()
        one.publish(event)
        assert [await anext(stream) for _ in range(3)] == [None] * 3
        redis.start()
        found = None
        async with asyncio.timeout(PATIENCE):
            while found is None:
                one.publish(event)
                found = await anext(stream)
        assert found == event


async def test_a_wish_to_cancel_is_not_replaced_by_progress(process: Process) -> None:
    one, two = await pair(process)
    job_id = uuid4()
    await heard(two, one, JobEvent(job_id, JobStatus.RUNNING, 0.1, "x"))
    async with aclosing(two.subscribe(job_id)) as stream:
        assert await anext(stream) is None
        steps: set[str | None] = set()
        async with asyncio.timeout(PATIENCE):
            while "cancelling" not in steps:
                for step in ("a", "cancelling", "b", "c"):
                    one.publish(JobEvent(job_id, JobStatus.RUNNING, 0.1, step))
                if found := await anext(stream):
                    steps.add(found.step)


# Breakers


async def breakers(process: Process) -> Breakers:
    return Breakers(RedisBreakerNews(await process()))


async def test_what_one_process_finds_out_spares_the_others(process: Process) -> None:
    one, two = await breakers(process), await breakers(process)
    for _ in range(LEAST_CALLS):
        one.of("replicate", "upscale").record(succeeded=False)
    await eventually(lambda: two.open_tasks("replicate") == ["upscale"])
    assert not two.of("replicate", "upscale").allow()
    assert two.of("replicate", "restore_faces").allow()
    later = await breakers(process)
    await eventually(lambda: later.open_tasks("replicate") == ["upscale"])
    one.of("replicate", "upscale").record(succeeded=True)
    await eventually(lambda: two.open_tasks("replicate") == later.open_tasks("replicate") == [])


async def test_without_redis_each_has_its_own_breakers(redis: RedisServer, process: Process) -> None:
    one, two = await breakers(process), await breakers(process)
    redis.stop()
    for _ in range(LEAST_CALLS):
        one.of("cog", "upscale").record(succeeded=False)
    assert not one.of("cog", "upscale").allow()
    assert two.of("cog", "upscale").allow()


# The rate limit


@asynccontextmanager
async def gates(url: str, number: int, per_minute: int) -> AsyncIterator[list[Buckets]]:
    settings = load_settings(redis_url=url, rate_limit_per_min=per_minute, queue_prefix=f"test{uuid4().hex}")
    found = [Buckets(settings) for _ in range(number)]
    yield found
    for one in found:
        await one.close()


async def test_processes_share_the_tokens_of_a_client(redis: RedisServer) -> None:
    async with gates(redis.url, 2, 4) as (one, two):
        verdicts = [await gate.seconds_to_wait("me") for gate in (one, two, one, two, one, two)]
        assert verdicts[:4] == [None] * 4
        assert all(seconds is not None and 0 < seconds <= 60 for seconds in verdicts[4:])
        assert await two.seconds_to_wait("somebody else") is None


async def test_without_redis_each_process_counts_for_itself(
    redis: RedisServer,
) -> None:
    redis.stop()
    async with gates(redis.url, 2, 2) as (one, two):
        for gate in (one, two):
            verdicts = [await gate.seconds_to_wait("me") for _ in range(3)]
            assert verdicts[:2] == [None, None]
            assert verdicts[2] is not None
