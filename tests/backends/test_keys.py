"""API keys over SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from relume.database import Database
from relume.errors import Conflict, NotFound
from relume.jobs.keys import PREFIX, KeyRing
from tests.engine import HandClock


def ring(database: Database) -> KeyRing:
    """Each call is another process."""
    return KeyRing(database, HandClock())


async def test_a_key_is_told_once_and_kept_nowhere(database: Database) -> None:
    keys = ring(database)
    key = await keys.create("archive", is_operator=False)
    assert key.startswith(PREFIX)
    (row,) = await keys.all()
    assert (row.name, row.is_operator, row.revoked_at) == ("archive", False, None)
    assert key not in row.model_dump_json()


async def test_a_key_names_its_caller(database: Database) -> None:
    keys = ring(database)
    archive = await keys.create("archive", is_operator=False)
    boss = await keys.create("boss", is_operator=True)
    other_process = ring(database)
    callers = [await other_process.caller(key) for key in (archive, boss)]
    assert [caller.is_operator for caller in callers if caller] == [False, True]
    assert callers[0] != callers[1]
    assert await other_process.caller("rlm_guess") is None


async def test_no_key_was_ever_made(database: Database) -> None:
    assert not await ring(database).are_used()


async def test_a_revoked_key_opens_nothing_and_the_service_stays_closed(database: Database) -> None:
    keys = ring(database)
    key = await keys.create("archive", is_operator=False)
    await keys.revoke("archive")
    other_process = ring(database)
    assert await other_process.caller(key) is None
    assert await other_process.are_used()
    with pytest.raises(NotFound):
        await keys.revoke("archive")


async def test_a_name_is_used_once(database: Database) -> None:
    keys = ring(database)
    await keys.create("archive", is_operator=False)
    with pytest.raises(Conflict, match="archive"):
        await keys.create("archive", is_operator=True)
