"""What contract C says of a batch: its state, and an entry for each file that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from relume.http.files import EXPIRED, shown_name
from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job, JobStatus

Word = Literal["queued", "processing", "completed", "failed"]


class Accepted(BaseModel):
    job_id: str
    status: Literal["queued"]
    queue_position: int
    """From 1: how many jobs have to be begun before the first of this batch, and that one."""


class Step(BaseModel):
    """One task of the recipe."""

    task: str
    provider: str
    model: str
    changed: bool


class Entry(BaseModel):
    """A file that has ended. It has a `url`, or an `error`."""

    original_filename: str
    job_id: str
    """The file's own job, which the other contracts know too."""
    url: str | None = None
    error: str | None = None
    code: str | None = None
    expired: bool | None = None
    """True when there was a result and its time is over."""
    outcome: str | None = None
    fidelity: float | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    cost_usd: float | None = None
    steps: list[Step] | None = None


class Pending(BaseModel):
    """A file that waits or is worked on."""

    original_filename: str
    job_id: str
    status: Literal["queued", "processing"]
    progress: float
    step: str | None = None


class BatchState(BaseModel):
    job_id: str
    status: Word
    results: list[Entry]
    """In the order of the files, as they end."""
    pending: list[Pending]
    progress: float
    """0 to 1, over all files."""
    total: int
    succeeded: int
    failed: int
    """Cancelled and refused ones included."""
    queue_position: int | None = None
    """While files wait."""


def status_word(jobs: Sequence[Job]) -> Word:
    """`failed` only if every file failed; `queued` until the first one is begun."""
    if all(job.status.has_ended for job in jobs):
        return "completed" if any(job.status is JobStatus.SUCCEEDED for job in jobs) else "failed"
    begun = any(job.started_at is not None or job.status is JobStatus.SUCCEEDED for job in jobs)
    return "processing" if begun else "queued"


def batch_state(batch_id: str, jobs: Sequence[Job], position: int | None, base_url: str | None) -> BatchState:
    ended = [job for job in jobs if job.status.has_ended]
    succeeded = sum(job.status is JobStatus.SUCCEEDED for job in ended)
    done = sum(1.0 if job.status.has_ended else job.progress for job in jobs)
    return BatchState(
        job_id=batch_id,
        status=status_word(jobs),
        results=[entry(job, base_url) for job in ended],
        pending=[_pending(job) for job in jobs if not job.status.has_ended],
        progress=round(done / len(jobs), 4),
        total=len(jobs),
        succeeded=succeeded,
        failed=len(ended) - succeeded,
        queue_position=position,
    )


def entry(job: Job, base_url: str | None) -> Entry:
    """What came of a file. Results are named by the job's id, never by the client's name of the file."""
    told = Entry(original_filename=shown_name(job), job_id=str(job.id))
    if job.status is not JobStatus.SUCCEEDED:
        told.error, told.code = job.error_detail, job.error_code
        return told
    if job.files_deleted_at is not None:
        told.error, told.code, told.expired = EXPIRED, "expired", True
    else:
        told.url = f"{base_url or ''}{_path(job)}"
    told.outcome, told.fidelity = job.outcome, job.fidelity
    told.width, told.height, told.size_bytes = job.result_width, job.result_height, job.result_bytes
    told.cost_usd = job.cost_usd
    told.steps = [Step(**{name: part[name] for name in Step.model_fields}) for part in job.report or []]
    return told


def _path(job: Job) -> str:
    if job.result_format is None:
        return f"/results/{job.id}.txt"
    return f"/processed/{job.id}.{ImageFormat(job.result_format).extension}"


def _pending(job: Job) -> Pending:
    return Pending(
        original_filename=shown_name(job),
        job_id=str(job.id),
        status="queued" if job.status is JobStatus.QUEUED else "processing",
        progress=round(job.progress, 4),
        step=job.step,
    )
