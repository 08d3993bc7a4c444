"""Room: who may come in, in what order, and what is given back."""

from __future__ import annotations

import asyncio

import pytest

from relume.errors import JobCancelled
from relume.room import Room


class Guest:
    """Holds some bytes until it is told to leave."""

    def __init__(self, room: Room, size_bytes: int) -> None:
        self.leave = asyncio.Event()
        self.inside = False
        self.cancelled = False
        self._room, self._size = room, size_bytes
        self.task = asyncio.create_task(self._stay())

    async def _stay(self) -> None:
        async with self._room.hold(self._size, self._look):
            self.inside = True
            await self.leave.wait()
        self.inside = False

    def _look(self) -> None:
        if self.cancelled:
            raise JobCancelled("The job was cancelled.")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def guests(room: Room, *sizes: int) -> list[Guest]:
    came = [Guest(room, size) for size in sizes]
    await settle()
    return came


async def until(guest: Guest) -> None:
    async with asyncio.timeout(10):
        while not guest.inside:
            await asyncio.sleep(0.01)


async def end(*came: Guest) -> None:
    for guest in came:
        guest.leave.set()
    await asyncio.gather(*(guest.task for guest in came))


async def test_as_many_are_inside_as_there_is_room_for() -> None:
    one, two, three = await guests(Room(10), 4, 6, 1)
    assert (one.inside, two.inside, three.inside) == (True, True, False)
    one.leave.set()
    await until(three)
    await end(one, two, three)


async def test_a_large_one_is_not_passed_by() -> None:
    first, large, small = await guests(Room(10), 5, 8, 1)
    assert (first.inside, large.inside, small.inside) == (True, False, False)
    first.leave.set()
    await until(large)
    await until(small)
    await end(first, large, small)


async def test_one_that_is_larger_than_the_room_has_it_alone() -> None:
    room = Room(10)
    giant, small = await guests(room, 1000, 1)
    assert (giant.inside, small.inside) == (True, False)
    giant.leave.set()
    await until(small)
    await end(giant, small)


@pytest.mark.parametrize("how", ["cancelled", "stopped"])
async def test_who_gives_up_lets_the_next_one_in(how: str) -> None:
    first, waiting, last = await guests(Room(10), 8, 9, 2)
    assert not last.inside
    if how == "cancelled":
        waiting.cancelled = True
    else:
        waiting.task.cancel()
    await until(last)
    with pytest.raises(JobCancelled if how == "cancelled" else asyncio.CancelledError):
        await waiting.task
    await end(first, last)


async def test_everything_is_given_back() -> None:
    room = Room(10)
    await end(*await guests(room, 4, 4, 4, 20, 1))
    (whole,) = await guests(room, 10)
    assert whole.inside
    await end(whole)
