"""Many writes in one transaction: each caller gets its own result or error, and nobody returns before the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from relume.database import Database
from relume.errors import LeaseLost
from relume.jobs.group_commit import GroupCommit
from relume.jobs.models import IdempotencyKey, Job, JobStatus
from relume.jobs.repository.jobs import JobRepository, KeyTaken
from tests.engine import LEASE, Engine

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def new_job(job_id: UUID | None = None) -> Job:
    return Job(
        id=job_id or uuid4(),
        contract="v1",
        model_id="m",
        strength=1.0,
        scale=1,
        lane="local",
        created_at=NOW,
        available_at=NOW,
    )


def new_key(job: Job) -> IdempotencyKey:
    return IdempotencyKey(scope="open", key="k", request_digest="d", job_id=job.id, created_at=NOW)


class Counted:
    """A database that counts its transactions, and can be held before one begins."""

    def __init__(self, database: Database) -> None:
        self._commit = database._commit
        self.number = 0
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.group = GroupCommit(self.commit)
        database._group = self.group

    async def commit(self, work: Callable[[Session], Any]) -> Any:
        await self.may_begin.wait()
        self.number += 1
        return await self._commit(work)


async def test_writes_at_the_same_moment_share_transactions(database: Database) -> None:
    counted, repository = Counted(database), JobRepository(database)
    jobs = [new_job() for _ in range(40)]
    await asyncio.gather(*(repository.add(job) for job in jobs))
    assert counted.number <= 2
    assert await repository.counts() == {"queued": 40}


async def test_a_bad_member_fails_alone(database: Database) -> None:
    counted, repository = Counted(database), JobRepository(database)
    taken = new_job()
    await repository.add(taken, new_key(taken))
    counted.may_begin.clear()
    good = [new_job() for _ in range(5)]
    late, double = new_job(), new_job(taken.id)
    writes = [asyncio.ensure_future(repository.add(job)) for job in good[:3]]
    writes += [asyncio.ensure_future(repository.add(late, new_key(late)))]
    writes += [asyncio.ensure_future(repository.add(double))]
    writes += [asyncio.ensure_future(repository.add(job)) for job in good[3:]]
    await asyncio.sleep(0)
    counted.may_begin.set()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 3 + [KeyTaken, IntegrityError] + [
        type(None)
    ] * 2
    assert {job.id for job in await repository.get_many([job.id for job in good])} == {job.id for job in good}
    assert await repository.counts() == {"queued": 6}


async def test_a_lost_lease_undoes_nobody_elses_write(engine: Engine) -> None:
    counted = Counted(engine.database)
    job, other = await engine.submit(), new_job()
    claimed = await engine.repository.leases.claim(job.id, engine.clock.now(), LEASE)
    assert claimed is not None
    stranger = claimed.model_copy(update={"lease_token": "another"})
    before = counted.number
    lost, added = await asyncio.gather(
        engine.repository.leases.finish(stranger, None, status=JobStatus.FAILED),
        engine.repository.add(other),
        return_exceptions=True,
    )
    assert (type(lost), added) == (LeaseLost, None)
    assert counted.number - before <= 2
    assert (await engine.repository.get(job.id)).status is JobStatus.RUNNING


async def test_a_cancelled_caller_waits_for_its_commit_and_disturbs_no_other(database: Database) -> None:
    counted, repository = Counted(database), JobRepository(database)
    counted.may_begin.clear()
    first, second = new_job(), new_job()
    cancelled = asyncio.create_task(repository.add(first))
    other = asyncio.create_task(repository.add(second))
    for _ in range(5):
        await asyncio.sleep(0)
    cancelled.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not cancelled.done()
    counted.may_begin.set()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await other
    assert await repository.counts() == {"queued": 2}


async def test_writes_of_one_row_keep_their_order(database: Database) -> None:
    counted, repository = Counted(database), JobRepository(database)
    job = new_job()
    await repository.add(job)
    counted.may_begin.clear()
    seen: list[int] = []

    def step(number: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            seen.append(number)
            session.execute(update(Job).values(step=str(number)))

        return work

    writes = [asyncio.ensure_future(database.write(step(number), str(job.id))) for number in range(20)]
    await asyncio.sleep(0)
    counted.may_begin.set()
    await asyncio.gather(*writes)
    assert seen == list(range(20))
    assert (await repository.get(job.id)).step == "19"


async def test_a_fault_at_the_commit_reaches_everybody_and_is_not_repeated() -> None:
    begun: list[int] = []

    async def broken(work: Callable[[Session], Any]) -> Any:
        begun.append(1)
        await asyncio.sleep(0)
        raise OperationalError("commit", None, OSError("the disk is full"))

    group = GroupCommit(broken)
    writes = (group.write(lambda _session: None) for _ in range(8))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [OperationalError] * 8
    assert len(begun) == 1


async def test_after_a_fault_of_all_members_the_next_write_goes_through(database: Database) -> None:
    repository = JobRepository(database)
    await database.write(lambda session: session.execute(text("drop table idempotency_keys")))
    results = await asyncio.gather(
        *(database.write(lambda session: session.execute(select(IdempotencyKey))) for _ in range(4)),
        return_exceptions=True,
    )
    assert all(isinstance(result, DBAPIError) for result in results)
    job = new_job()
    await repository.add(job)
    assert (await repository.get(job.id)).id == job.id


async def test_nothing_is_lost_on_close(database: Database) -> None:
    repository = JobRepository(database)
    jobs = [new_job() for _ in range(250)]
    writes = [asyncio.ensure_future(repository.add(job)) for job in jobs]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    again = Database(database.url)
    counted = await again.read(lambda session: session.scalar(select(func.count()).select_from(Job)))
    await again.close()
    assert counted == 250
