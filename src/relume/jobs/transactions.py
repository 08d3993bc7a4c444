"""What the repositories need of a database."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from relume.jobs.group_commit import Work

T = TypeVar("T")


class Transactions(Protocol):
    """Of both kinds: what many callers may share (`write`, `read`), and one of the caller's own."""

    async def write(self, work: Work[T], order: str = "") -> T: ...

    async def read(self, work: Work[T]) -> T: ...

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]: ...

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]: ...
