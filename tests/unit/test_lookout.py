"""Slow looks: shared, remembered while fresh, and waited for no longer than patience lasts."""

from __future__ import annotations

import asyncio

import pytest

from relume.http.lookout import Lookout


class Look:
    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        await self.go.wait()
        return self.begun


async def test_those_who_ask_at_once_share_one_look() -> None:
    lookout, look = Lookout(), Look()
    asking = [asyncio.create_task(lookout.ask("x", look, patience_seconds=60)) for _ in range(3)]
    await asyncio.sleep(0)
    look.go.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await lookout.ask("x", look, patience_seconds=60) == 2
    assert await lookout.ask("x", look, patience_seconds=60, fresh_seconds=3600) == 2


async def test_a_look_that_takes_too_long_goes_on_alone() -> None:
    lookout, look = Lookout(), Look()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await lookout.ask("x", look, patience_seconds=0.01)
    asking = asyncio.create_task(lookout.ask("x", look, patience_seconds=60))
    look.go.set()
    assert await asking == 1


async def test_a_caller_that_leaves_ends_no_look() -> None:
    lookout, look = Lookout(), Look()
    leaving = asyncio.create_task(lookout.ask("x", look, patience_seconds=60))
    staying = asyncio.create_task(lookout.ask("x", look, patience_seconds=60))
    await asyncio.sleep(0)
    leaving.cancel()
    look.go.set()
    assert await staying == 1


async def test_faults_are_not_remembered() -> None:
    async def fail() -> int:
        raise OSError("broken")

    lookout, look = Lookout(), Look()
    look.go.set()
    with pytest.raises(OSError, match="broken"):
        await lookout.ask("x", fail, patience_seconds=60, fresh_seconds=3600)
    assert await lookout.ask("x", look, patience_seconds=60, fresh_seconds=3600) == 1


async def test_closing_ends_what_still_runs() -> None:
    lookout, look = Lookout(), Look()
    asking = asyncio.create_task(lookout.ask("x", look, patience_seconds=60))
    await asyncio.sleep(0)
    await lookout.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
