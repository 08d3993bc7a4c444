"""Transactions that a cancelled caller cannot break off in the middle."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
Kind = TypeVar("Kind")


def unbroken(kind: type[Kind]) -> type[Kind]:
    """Class decorator: each public coroutine method runs to its end even when its caller is cancelled.

    A cancellation inside a database driver can leave a connection with an open transaction, and with it,
    in SQLite, the lock that every other writer waits for. The caller still gets its CancelledError, after.
    """
    for name, method in list(vars(kind).items()):
        if inspect.iscoroutinefunction(method) and not name.startswith("_"):
            setattr(kind, name, whole(method))
    return kind


def whole(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """The same for one method."""

    @functools.wraps(method)
    async def shielded(*args: Any, **kwargs: Any) -> T:
        work = asyncio.ensure_future(method(*args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    return shielded
