"""News of breakers between processes: what one has found out spares the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from relume.ports import BreakerNotice
from relume.queues.redis_bus import RedisBus

_CHANNEL = "breakers"


class RedisBreakerNews:
    """Keeps the promises of `ports.BreakerNews`. A process that starts later reads what was told last."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus
        self._hear: Callable[[BreakerNotice], None] = lambda _notice: None
        bus.hear_always(_CHANNEL, self._told)
        bus.on_connect(self._catch_up)

    def tell(self, notice: BreakerNotice) -> None:
        name = f"{notice.provider} {notice.task}"
        message = {"provider": notice.provider, "task": notice.task, "state": notice.state}
        self._bus.send(_CHANNEL, message, key=name, keep_as=name)

    def listen(self, hear: Callable[[BreakerNotice], None]) -> None:
        self._hear = hear

    def _told(self, told: dict[str, Any]) -> None:
        self._hear(_notice(told))

    async def _catch_up(self) -> None:
        for told in await self._bus.kept():
            if told["state"] != "closed":
                self._hear(_notice(told))


def _notice(told: dict[str, Any]) -> BreakerNotice:
    age = max(time.time() - told["at"], 0.0)
    return BreakerNotice(told["provider"], told["task"], told["state"], age)
