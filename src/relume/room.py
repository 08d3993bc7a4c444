"""Memory as something to wait for: so many bytes may be held at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_LOOK_SECONDS = 0.25


class Room:
    """First come, first served: a large request is not passed by small ones for ever.

    Whoever asks for more than there is gets all of it, alone. For one event loop.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._free = size_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size_bytes: int, look: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Hold so many bytes in the block. While it waits, `look` is called, and may raise to give up."""
        share = min(size_bytes, self._size)
        await self._enter(share, look)
        try:
            yield
        finally:
            self._leave(share)

    async def _enter(self, share: int, look: Callable[[], None]) -> None:
        if not self._waiting and share <= self._free:
            self._free -= share
            return
        granted = asyncio.get_running_loop().create_future()
        place = (share, granted)
        self._waiting.append(place)
        try:
            while not granted.done():
                look()
                await asyncio.wait([granted], timeout=_LOOK_SECONDS)
        except BaseException:
            if granted.done():
                self._leave(share)
            else:
                self._waiting.remove(place)
                self._admit()
            raise

    def _leave(self, share: int) -> None:
        self._free += share
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            share, granted = self._waiting.popleft()
            self._free -= share
            granted.set_result(None)
