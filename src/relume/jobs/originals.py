"""The photo that a job was given, and deleting it with everything else before its time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from relume.errors import Conflict, Expired, NotFound
from relume.jobs.files import all_keys, metadata_key
from relume.jobs.models import Job
from relume.jobs.repository.jobs import JobRepository
from relume.ports import Store
from relume.telemetry import logger

log = logger(__name__)


def original_key(job: Job) -> str:
    """Where a job's untouched original lies. Raises Expired, NotFound; Conflict before it has been fetched."""
    if job.files_deleted_at is not None:
        raise Expired("This file was deleted after its time. The job's record is kept.")
    if job.input_key is not None:
        return job.input_key
    if job.source_url is not None and not job.status.has_ended:
        raise Conflict("The photo has not been fetched yet.")
    raise NotFound("This job has no original photo.")


async def delete_files(job_id: UUID, repository: JobRepository, store: Store, now: datetime) -> Job:
    """Delete all that is kept of an ended job but its record, and give that. Repeating it changes nothing.

    Results are copied for equal jobs, never shared, so no other job loses anything. A process that dies in
    between leaves a job whose files are due, for the janitor. Raises NotFound, and Conflict for a job that has
    not ended.
    """
    job = await repository.get(job_id)
    if not await repository.files.forget(job_id, now):
        raise Conflict("The job has not ended yet. Cancel it first, then delete its files.")
    job = await repository.get(job_id)  # As it was when it ended: a worker may just have finished.
    await store.delete([*all_keys(job), metadata_key(job_id)])
    if job.files_deleted_at is None:
        await repository.files.mark_deleted([job_id], now)
        log.info("files.deleted", job_id=str(job_id))
    return await repository.get(job_id)
