"""What a job takes in the database, and what the queries that grow with it take: the base of docs/scaling.md.

`python benchmarks/rows.py --jobs 200000` fills a PostgreSQL database of its own with ended jobs, two attempts
each, and a backlog of waiting ones; then it tells bytes by table and index, and the median time of each query
that the service asks all the time. The server is RELUME_TEST_POSTGRES_URL's; the database is dropped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import insert, make_url

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.peers import POSTGRES_URL  # noqa: E402

from relume.database import Database, database_url  # noqa: E402 (the path has to be known first)
from relume.jobs.figures import Figures  # noqa: E402
from relume.jobs.models import AttemptRow, Job, JobStatus  # noqa: E402
from relume.jobs.repository.jobs import JobRepository  # noqa: E402
from relume.settings import load_settings  # noqa: E402

_WAITING = 1000
_AT_ONCE = 2000
_REPORT = [
    {
        "task": task,
        "provider": "replicate",
        "model": "GFPGAN",
        "version": "0fbacf7afc6c",
        "changed": True,
        "seconds": 4.2,
        "cost_usd": 0.002,
        "steps": [{"name": task, "changed": True, "detail": "Restored by the model.", "confidence": 0.9}],
    }
    for task in ("restore_faces", "upscale")
]


def job(number: int, begun: datetime, *, waiting: bool) -> Job:
    """One of contract A, as it is after its end or before its beginning."""
    created = begun + timedelta(milliseconds=10 * number)
    row = Job(
        id=uuid4(),
        contract="restore_url",
        client="0" * 32,
        model_id="restoration/gfpgan-real-esrgan",
        strength=1.0,
        scale=4,
        source_url=f"https://photos.example.org/albums/1950/photo-{number}.jpg",
        lane="hosted",
        created_at=created,
        available_at=created,
        enqueued_at=created,
    )
    if waiting:
        return row
    row.status, row.progress, row.outcome, row.fidelity = JobStatus.SUCCEEDED, 1.0, "restored", 0.93
    row.input_key, row.input_format = f"uploads/{row.id}.jpg", "JPEG"
    row.input_width, row.input_height, row.input_bytes = 1024, 768, 300_000
    row.result_key, row.result_format = f"results/{row.id}.jpg", "JPEG"
    row.result_width, row.result_height, row.result_bytes = 4096, 3072, 2_400_000
    row.cache_key, row.report, row.cost_usd, row.runs = uuid4().hex * 2, _REPORT, 0.0039, 1
    row.started_at = row.finished_at = created + timedelta(seconds=9)
    row.files_expire_at = row.files_deleted_at = created + timedelta(hours=1)
    return row


def attempts_of(row: Job) -> list[AttemptRow]:
    return [
        AttemptRow(
            job_id=row.id,
            run=1,
            task=task,
            provider="replicate",
            model="GFPGAN",
            version="0fbacf7afc6c144e5be9767cff80f25aff23e52b0708f17e20f9879b2f21516c",
            started_at=row.created_at,
            seconds=4.2,
            external_id=uuid4().hex[:26],
            cost_usd=0.002,
        )
        for task in ("restore_faces", "upscale")
    ]


async def fill(database: Database, number: int) -> None:
    begun = datetime.now(UTC) - timedelta(days=1)
    for start in range(0, number, _AT_ONCE):
        rows = [job(start + one, begun, waiting=False) for one in range(min(_AT_ONCE, number - start))]
        attempts = [attempt for row in rows for attempt in attempts_of(row)]
        async with database.transaction() as session:
            await session.execute(insert(Job), [row.model_dump() for row in rows])
            await session.execute(insert(AttemptRow), [row.model_dump(exclude={"id"}) for row in attempts])
    waiting = [job(number + one, begun, waiting=True) for one in range(_WAITING)]
    async with database.transaction() as session:
        await session.execute(insert(Job), [row.model_dump() for row in waiting])


async def median_ms(ask: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(15):
        started = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - started)
    return round(1000 * statistics.median(times), 2)


async def queries(database: Database) -> dict[str, float]:
    repository, figures = JobRepository(database), Figures(database)
    now = datetime.now(UTC)
    late = now - timedelta(seconds=60)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "backlog of each lane (the sweep, every few seconds)": lambda: repository.due.backlogs(now, late),
        "depth and oldest (/metrics)": figures.lanes,
        "files that have had their time (the janitor)": lambda: repository.files.expired(now),
        "first page of 20 jobs, with the total": lambda: repository.page(None, limit=20, offset=0),
        "page at offset 10000": lambda: repository.page(None, limit=20, offset=10_000),
    }
    return {what: await median_ms(ask) for what, ask in asked.items()}


async def measure(number: int) -> dict[str, object]:
    admin = await asyncpg.connect(POSTGRES_URL)
    name = f"relume_rows_{uuid4().hex[:8]}"
    await admin.execute(f'create database "{name}"')
    url = make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    database = Database(database_url(load_settings(database_url=url)))
    try:
        await database.upgrade()
        started = time.perf_counter()
        await fill(database, number)
        filled = time.perf_counter() - started
        own = await asyncpg.connect(url)
        await own.execute("vacuum analyze")
        sizes = await own.fetch(
            "select relname, pg_table_size(oid) as rows, pg_indexes_size(oid) as indexes from pg_class"
            " where relname in ('jobs', 'attempts') order by relname desc"
        )
        await own.close()
        return {
            "jobs": number,
            "filled_seconds": round(filled, 1),
            "bytes_a_job": {
                row["relname"]: {kind: round(row[kind] / number) for kind in ("rows", "indexes")}
                for row in sizes
            },
            "median_ms": await queries(database),
        }
    finally:
        await database.close()
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=200_000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().jobs)), indent=2))


if __name__ == "__main__":
    main()
