"""Asking slow things without waiting for them: a database or a disk that hangs must not hang the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Lookout:
    """Runs looks by name, each at most once at a time, and remembers what the last one saw.

    A look that takes too long is left to end by itself, for it may be in the middle of a transaction; whoever
    asks meanwhile waits for the same one.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._seen: dict[str, tuple[float, Any]] = {}

    async def ask(
        self,
        name: str,
        look: Callable[[], Coroutine[Any, Any, T]],
        *,
        patience_seconds: float,
        fresh_seconds: float = 0.0,
    ) -> T:
        """What `look` gives or raises; what it gave up to `fresh_seconds` ago will do. Raises TimeoutError."""
        at, seen = self._seen.get(name, (float("-inf"), None))
        if time.monotonic() - at < fresh_seconds:
            found: T = seen
            return found
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.create_task(look(), name=f"look {name}")
            task.add_done_callback(lambda done: self._note(name, done))
        await asyncio.wait([task], timeout=patience_seconds)
        if not task.done():
            raise TimeoutError(name)
        result: T = task.result()
        return result

    async def close(self) -> None:
        """End what still runs."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _note(self, name: str, task: asyncio.Task[Any]) -> None:
        del self._running[name]
        if not task.cancelled() and task.exception() is None:
            self._seen[name] = (time.monotonic(), task.result())
