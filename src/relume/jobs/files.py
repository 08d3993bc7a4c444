"""Where a job's files lie. Names hold ids only: no client's file name ever reaches a disk."""

from __future__ import annotations

from uuid import UUID

from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job

UPLOADS = "uploads"
RESULTS = "results"
STAGING = f"{RESULTS}/staging"
"""Below the results, so that publishing is a rename within one area."""


def upload_key(job_id: UUID, kind: ImageFormat, lease_token: str | None = None) -> str:
    """`lease_token` tells a URL's download of one run from that of another: nothing is ever overwritten."""
    part = f".{lease_token}" if lease_token else ""
    return f"{UPLOADS}/{job_id}{part}.{kind.extension}"


def staging_key(job_id: UUID, lease_token: str, kind: ImageFormat) -> str:
    return f"{STAGING}/{job_id}.{lease_token}.{kind.extension}"


def result_key(job_id: UUID, kind: ImageFormat) -> str:
    return f"{RESULTS}/{job_id}.{kind.extension}"


def owner(key: str) -> UUID | None:
    """The job a file belongs to, told from its name; None if it is none of ours."""
    name = key.rpartition("/")[2]
    try:
        return UUID(name.partition(".")[0])
    except ValueError:
        return None


def all_keys(job: Job) -> list[str]:
    return [key for key in (job.input_key, job.staged_key, job.result_key) if key]
