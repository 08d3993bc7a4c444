"""Writes of many callers in one transaction: whoever comes while one is written shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

T = TypeVar("T")
Work = Callable[[Session], T]
"""What is to be done in a transaction. It may be called twice, so it changes nothing but the session."""

_MOST_MEMBERS = 100
"""A transaction of this many writes takes some 30 ms, in which it lets no other process write to SQLite."""


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    work: Work[Any]
    done: asyncio.Future[Any]
    order: str


class _OneFailed(Exception):
    """A member's work raised; the transaction has been undone."""


class GroupCommit:
    """Waits for nobody: a write that finds none under way begins at once, the next ones share a transaction.

    `commit` runs a function in one transaction of its own. Each caller returns after the commit of its own
    write, or gets what its own work raised: then the transaction is undone and every member tried again by
    itself. What the database raises at the beginning or the end of a transaction reaches all of its members,
    for nobody knows whether it took place.
    """

    def __init__(self, commit: Callable[[Work[Any]], Awaitable[Any]]) -> None:
        self._commit = commit
        self._waiting: list[_Member] = []
        self._committer: asyncio.Task[None] | None = None

    async def write(self, work: Work[T], order: str = "") -> T:
        """`order` names the row that is written: all processes lock rows in this order, and in no circle."""
        loop = asyncio.get_running_loop()
        member = _Member(work, loop.create_future(), order)
        self._waiting.append(member)
        if self._committer is None or self._committer.done():
            self._committer = loop.create_task(self._commit_waiting())
        result: T = await member.done
        return result

    async def drain(self) -> None:
        """Return when all that was to be written is written."""
        while self._committer is not None and not self._committer.done():
            await asyncio.wait([self._committer])

    async def _commit_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MOST_MEMBERS], self._waiting[_MOST_MEMBERS:]
            group.sort(key=lambda member: member.order)
            try:
                await self._commit_together(group)
            except BaseException:
                left, self._waiting = (*group, *self._waiting), []
                for member in left:  # This process stops.
                    member.done.cancel()
                raise

    async def _commit_together(self, group: list[_Member]) -> None:
        try:
            results = await self._commit(lambda session: _all(group, session))
        except _OneFailed as failed:
            cause = failed.__cause__
            is_everyones = isinstance(cause, DBAPIError) and cause.connection_invalidated
            if len(group) > 1 and not is_everyones:
                for member in group:
                    await self._commit_together([member])
                return
            _fail(group, cause if isinstance(cause, Exception) else failed)
        except Exception as error:  # noqa: BLE001 (it is the callers' to handle)
            _fail(group, error)
        else:
            for member, result in zip(group, results, strict=True):
                if not member.done.done():
                    member.done.set_result(result)


def _all(group: list[_Member], session: Session) -> list[Any]:
    try:
        return [member.work(session) for member in group]
    except Exception as error:
        raise _OneFailed from error


def _fail(group: list[_Member], error: Exception) -> None:
    for member in group:
        if not member.done.done():
            member.done.set_exception(error)
