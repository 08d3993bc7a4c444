"""One process's line to all others through Redis: short messages on named channels, some of them lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from relume.telemetry import logger

log = logger(__name__)

Hear = Callable[[dict[str, Any]], None]

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 3.0
_READ_SECONDS = 5.0
_HEALTH_SECONDS = 10
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 5.0
_MOST_WAITING = 10_000
_AWAY = (RedisError, OSError, TimeoutError)


class RedisBus:
    """Two connections for the life of a process: one speaks, one listens.

    Sending never waits and never fails; while Redis is away, messages are dropped. Channels that are listened to
    are taken up again when it is back.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._me = uuid4().hex
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_keepalive=True,
            health_check_interval=_HEALTH_SECONDS,
            retry=Retry(NoBackoff(), 0),  # Trying again is the business of the two loops below.
        )
        self._waiting: dict[Hashable, tuple[str, str, str | None]] = {}
        self._something_waits = asyncio.Event()
        self._hearers: dict[str, Hear] = {}
        self._pubsub: PubSub | None = None
        self._on_connect: list[Callable[[], Awaitable[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._away = False

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._speak(), name="redis speaker"),
            asyncio.create_task(self._listen_forever(), name="redis listener"),
        ]

    async def stop(self) -> None:
        """What still waits is sent first, if that can be done at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(*_AWAY):
            await self._send_waiting()
        with suppress(*_AWAY):
            await self._client.aclose()

    def send(
        self, channel: str, message: dict[str, Any], *, key: Hashable, keep_as: str | None = None
    ) -> None:
        """Tell the other processes that listen on `channel`.

        A message of the same `key` that still waits is replaced: only the latest counts. With `keep_as`, it can
        be read back for a while, by `kept`.
        """
        if len(self._waiting) >= _MOST_WAITING and key not in self._waiting:
            return
        body = json.dumps(message | {"from": self._me, "at": time.time()}, separators=(",", ":"))
        self._waiting[key] = (self._name(channel), body, keep_as)
        self._something_waits.set()

    def hear_always(self, channel: str, hear: Hear) -> None:
        """Listen to a channel from the start on."""
        self._hearers[self._name(channel)] = hear

    async def listen(self, channel: str, hear: Hear) -> None:
        """Have `hear` called with each message of another process. Never fails: see the class."""
        self._hearers[self._name(channel)] = hear
        if self._pubsub is not None:
            with suppress(*_AWAY):
                await self._pubsub.subscribe(self._name(channel))

    async def unlisten(self, channel: str) -> None:
        self._hearers.pop(self._name(channel), None)
        if self._pubsub is not None:
            with suppress(*_AWAY):
                await self._pubsub.unsubscribe(self._name(channel))

    def on_connect(self, then: Callable[[], Awaitable[None]]) -> None:
        """Call `then` whenever the connection is there (again)."""
        self._on_connect.append(then)

    async def kept(self) -> list[dict[str, Any]]:
        """The messages that were sent with `keep_as` lately, by any process. Raises RedisError, OSError."""
        kept = await self._client.hgetall(self._name("kept"))
        return [json.loads(body) for body in kept.values()]

    def _name(self, channel: str) -> str:
        return f"{self._prefix}:{channel}"

    async def _speak(self) -> None:
        while True:
            await self._something_waits.wait()
            try:
                await self._send_waiting()
            except _AWAY as error:
                self._is_away(error)
                await asyncio.sleep(_FIRST_WAIT_SECONDS)

    async def _send_waiting(self) -> None:
        """One round trip for all that waits. What cannot be sent is dropped."""
        self._something_waits.clear()
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        async with asyncio.timeout(_ANSWER_SECONDS), self._client.pipeline(transaction=False) as pipeline:
            for channel, body, keep_as in waiting.values():
                pipeline.publish(channel, body)
                if keep_as is not None:
                    pipeline.hset(self._name("kept"), keep_as, body)
                    pipeline.expire(self._name("kept"), 120)
            await pipeline.execute()

    async def _listen_forever(self) -> None:
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    # The first channel is nobody's: a connection without any cannot be read.
                    await pubsub.subscribe(self._name("all"), *self._hearers)
                    self._pubsub = pubsub
                    await self._is_back()
                    wait_seconds = _FIRST_WAIT_SECONDS
                    while True:
                        self._hear(await pubsub.get_message(timeout=_READ_SECONDS))
            except _AWAY as error:
                self._is_away(error)
            finally:
                self._pubsub = None
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _hear(self, message: dict[str, Any] | None) -> None:
        if message is None or message["type"] != "message":
            return
        hear = self._hearers.get(message["channel"].decode())
        if hear is None:
            return
        try:
            told = json.loads(message["data"])
            if told["from"] != self._me:
                hear(told)
        except (ValueError, KeyError, TypeError):
            log.warning("redis.strange_message", channel=message["channel"].decode())

    async def _is_back(self) -> None:
        if self._away:
            self._away = False
            log.info("redis.back")
        for then in self._on_connect:
            await then()

    def _is_away(self, error: BaseException) -> None:
        if not self._away:
            self._away = True
            log.warning("redis.away", cause=type(error).__name__)
