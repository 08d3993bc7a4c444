"""Where a job's files lie. Names hold ids only: no client's file name ever reaches a disk."""

from __future__ import annotations

from uuid import UUID

from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job
from relume.recipes import GENERATION_MODEL

UPLOADS = "uploads"
RESULTS = "results"
MEDIA = "media"
"""The results of contract E, which have a time of their own."""
METADATA = "metadata"
"""What is told of each of those, for longer than the picture itself is kept."""
_STAGING = "staging"
"""A folder of each area of results, so that publishing is a rename within that area."""

_UNMIXED = ".unmixed.png"


def upload_key(job_id: UUID, kind: ImageFormat, lease_token: str | None = None) -> str:
    """`lease_token` tells a URL's download of one run from that of another: nothing is ever overwritten."""
    part = f".{lease_token}" if lease_token else ""
    return f"{UPLOADS}/{job_id}{part}.{kind.extension}"


def is_media(job: Job) -> bool:
    """Whether a job's result is one of contract E's."""
    return job.model_id == GENERATION_MODEL


def staging_key(job: Job, kind: ImageFormat) -> str:
    """Of the run that has the lease: no other one writes there."""
    return f"{_area(job)}/{_STAGING}/{job.id}.{job.lease_token}.{kind.extension}"


def result_key(job: Job, kind: ImageFormat) -> str:
    return f"{_area(job)}/{job.id}.{kind.extension}"


def unmixed_key(job_id: UUID) -> str:
    return f"{RESULTS}/{job_id}{_UNMIXED}"


def unmixed_staging_key(staged: str) -> str:
    """Beside the staged result, and told from its name: both wait, move and go together."""
    return f"{staged.rpartition('.')[0]}{_UNMIXED}"


def metadata_key(job_id: UUID) -> str:
    return f"{METADATA}/{job_id}.json"


def _area(job: Job) -> str:
    return MEDIA if is_media(job) else RESULTS


def owner(key: str) -> UUID | None:
    """The job a file belongs to, told from its name; None if it is none of ours."""
    name = key.rpartition("/")[2]
    try:
        return UUID(name.partition(".")[0])
    except ValueError:
        return None


def all_keys(job: Job) -> list[str]:
    keys = [job.input_key, job.staged_key, job.result_key, job.unmixed_key]
    if job.unmixed_key and job.staged_key:
        keys.append(unmixed_staging_key(job.staged_key))
    return [key for key in keys if key]
