"""API keys that an operator gives out to clients, beside the one of the settings."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from relume.errors import Conflict, NotFound
from relume.jobs.models import ApiKey
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import whole
from relume.ports import Clock

PREFIX = "rlm_"
"""So that a leaked key is recognised for what it is by people and by secret scanners."""
_KEY_BYTES = 32
_REMEMBERED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a key belongs to."""

    client: str
    """Names the key without telling it: its digest, cut to 32 characters."""
    is_operator: bool
    local_only: bool = False
    """Whether its jobs are to stay on this machine, whatever they ask for."""


class KeyRing:
    """The keys in the database. A process looks again after ten seconds: so long a revoked key still works."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: list[ApiKey] = []
        self._known_at = float("-inf")
        self._looking = asyncio.Lock()

    @whole
    async def create(self, name: str, *, is_operator: bool, local_only: bool = False) -> str:
        """A new key, told this once. Raises Conflict when the name is taken."""
        key = PREFIX + secrets.token_urlsafe(_KEY_BYTES)
        row = ApiKey(
            digest=digest_of(key),
            name=name,
            is_operator=is_operator,
            local_only=local_only,
            created_at=self._clock.now(),
        )
        try:
            async with self._database.transaction() as session:
                session.add(row)
        except IntegrityError as error:
            raise Conflict(f"There is a key with the name {name} already.") from error
        return key

    @whole
    async def revoke(self, name: str) -> None:
        """The key does not open anything any more; its record stays. Raises NotFound."""
        revocation = (
            update(ApiKey)
            .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))  # type: ignore[union-attr, arg-type]
            .values(revoked_at=self._clock.now())
            .returning(ApiKey.name)  # type: ignore[call-overload]
        )
        async with self._database.transaction() as session:
            if (await session.execute(revocation)).scalar_one_or_none() is None:
                raise NotFound(f"There is no working key with the name {name}.")

    @whole
    async def all(self) -> list[ApiKey]:
        """Every key that was ever made, oldest first."""
        oldest_first = select(ApiKey).order_by(ApiKey.created_at)  # type: ignore[arg-type]
        return await self._database.read(lambda session: list(session.scalars(oldest_first).all()))

    async def are_used(self) -> bool:
        """Whether a key was ever made. Revoking the last one closes the service rather than opening it."""
        return bool(await self._recent())

    async def caller(self, key: str) -> Caller | None:
        """Whose key it is; None for one that does not work."""
        digest = digest_of(key)
        for row in await self._recent():
            if row.digest == digest and row.revoked_at is None:
                return Caller(digest[:32], row.is_operator, row.local_only)
        return None

    async def _recent(self) -> list[ApiKey]:
        if self._is_known():
            return self._known
        async with self._looking:  # One look for all requests that come meanwhile.
            if not self._is_known():
                self._known = await self.all()
                self._known_at = time.monotonic()
            return self._known

    def _is_known(self) -> bool:
        return time.monotonic() - self._known_at <= _REMEMBERED_SECONDS


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
