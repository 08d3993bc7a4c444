"""Connecting to PostgreSQL with patience: a server that is being started again is back in a moment."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

_PATIENCE_SECONDS = 3.0
_CONNECT_SECONDS = 5.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 0.8
_NOT_YET_STATES = ("57P01", "57P02", "57P03", "53300")
"""SQLSTATEs: being shut down, crashed, starting, too many connections. Each of them passes."""


class DatabaseAway(ConnectionError):
    """The database does not answer, or takes no connections now."""


async def connect(*args: Any, **options: Any) -> Any:
    """As `asyncpg.connect`, tried again for a few seconds. Nothing has been asked of the server yet, so it is safe.

    Raises DatabaseAway; a refused password and the like are raised as they are.
    """
    import asyncpg

    deadline = time.monotonic() + _PATIENCE_SECONDS
    wait = _FIRST_WAIT_SECONDS
    options.setdefault("timeout", _CONNECT_SECONDS)
    while True:
        try:
            return await asyncpg.connect(*args, **options)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not _may_pass(error):
                raise
            if time.monotonic() + wait > deadline:
                raise DatabaseAway("The database does not answer.") from error
        await asyncio.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311 (so that not all come back at once)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


def _may_pass(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None)
    return state is None or state.startswith("08") or state in _NOT_YET_STATES
