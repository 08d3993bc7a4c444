"""Trying again what failed or was cancelled: a new job that asks for the same, with a copy of the kept original."""

from __future__ import annotations

from relume.errors import Conflict, Expired, RelumeError
from relume.jobs.listing import kind_of
from relume.jobs.models import Job
from relume.jobs.repository.batches import RETRIED


def can_retry(job: Job) -> bool:
    """Whether a job can be tried again: by itself, or as a photo of a batch with its batch."""
    return _obstacle(job) is None


def check_can_retry(job: Job) -> None:
    """Raises Conflict and Expired for a job that cannot be tried again by itself."""
    if obstacle := _obstacle(job):
        raise obstacle
    if job.batch_id is not None:
        raise Conflict(
            "This photo is one of a batch, and keeps its place there: "
            f"POST /enhance/{job.batch_id}/retry tries all of the batch that failed again."
        )


def _obstacle(job: Job) -> RelumeError | None:
    if not job.status.has_ended:
        return Conflict("This job is not finished yet; it can be tried again if it fails.")
    if job.status not in RETRIED:
        return Conflict("This job has succeeded; there is nothing to try again.")
    if kind_of(job) != "photo":
        return None
    if job.files_deleted_at is not None:
        return Expired("The original of this job was deleted after its time; send the photo again.")
    if job.input_key is None and job.source_url is None:
        return Conflict("The photo of this job was refused when it came, and not kept; send another one.")
    return None
