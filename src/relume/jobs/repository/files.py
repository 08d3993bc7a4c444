"""The files of ended jobs: results that still have to move, and files that have had their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, case, select, update

from relume.jobs.models import ENDED, Job, column
from relume.jobs.repository.statements import PLAIN, rows_changed, table_of
from relume.jobs.transactions import Transactions
from relume.jobs.unbroken import unbroken

_JOBS = table_of(Job)
_PROMOTED = update(_JOBS).where(_JOBS.c.id == bindparam("promoted_id")).values(staged_key=None)


@unbroken
class JobFiles:
    """What the rows of jobs say of their files; the files themselves are the store's."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def staged(self, limit: int = 100) -> list[Job]:
        """Succeeded jobs whose result still has to move to its final place."""
        async with self._database.reading() as session:
            return list((await session.scalars(staged_query().limit(limit))).all())

    async def mark_promoted(self, job_id: UUID) -> None:
        await self._database.write(
            lambda session: session.execute(_PROMOTED, {"promoted_id": job_id}), str(job_id)
        )

    async def expired(self, now: datetime, limit: int = 500) -> list[Job]:
        """Ended jobs whose files have had their time."""
        async with self._database.reading() as session:
            return list((await session.scalars(expired_query(now).limit(limit))).all())

    async def mark_deleted(self, job_ids: Sequence[UUID], now: datetime) -> None:
        """A text goes too. Only a batch still names its files: it tells what came of each."""
        name, search, is_alone = (
            column(Job.original_filename),
            column(Job.search_text),
            column(Job.batch_id).is_(None),
        )
        values = {
            "files_deleted_at": now,
            "input_key": None,
            "staged_key": None,
            "unmixed_key": None,
            "result_text": None,
            "original_filename": case((is_alone, None), else_=name),
            "search_text": case((and_(is_alone, name.is_not(None)), None), else_=search),
        }
        async with self._database.transaction() as session:
            await session.execute(update(Job).where(column(Job.id).in_(job_ids)).values(**values))

    async def forget(self, job_id: UUID, now: datetime) -> bool:
        """Make an ended job's files due, and forget what they were called. Whether it has ended.

        From then on no other job is answered with its result, and the janitor deletes what is left of the files.
        """
        name = column(Job.original_filename)
        values = {
            "files_expire_at": now,
            "cache_key": None,
            "result_text": None,
            "original_filename": None,
            "search_text": case((name.is_not(None), None), else_=column(Job.search_text)),
        }
        ended = (column(Job.id) == job_id, column(Job.status).in_(ENDED))
        forgotten = update(Job).where(*ended).values(**values).execution_options(**PLAIN)
        return await self._database.write(
            lambda session: rows_changed(session.execute(forgotten)) == 1, str(job_id)
        )


def staged_query() -> Select[Any]:
    """Jobs that have ended, and only they, have such a key. Served by an index that holds nothing else."""
    return select(Job).where(column(Job.staged_key).is_not(None))


def expired_query(now: datetime) -> Select[Any]:
    """A job gets that time when it ends. Served by an index of those whose files are still there."""
    return select(Job).where(column(Job.files_expire_at) <= now, column(Job.files_deleted_at).is_(None))
