"""Contract E's answers: jobs in its words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel

from relume.http.files import original_url, result_url, thumbnail_url
from relume.jobs.listing import Kind, kind_of
from relume.jobs.metadata import model_name_of, prompt_of, provider_of
from relume.jobs.models import Job, JobStatus
from relume.jobs.retrying import can_retry
from relume.settings import Settings

Word = Literal["pending", "processing", "completed", "failed", "cancelled"]

FilesWord = Literal["kept", "expired", "none"]

WORDS: dict[JobStatus, Word] = {
    JobStatus.QUEUED: "pending",
    JobStatus.RUNNING: "processing",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}
STATUSES = {word: status for status, word in WORDS.items()}


class Accepted(BaseModel):
    id: UUID
    prompt: str | None = None
    """None for the jobs of other contracts, which are about a photo."""
    model_name: str
    status: Word
    created_at: datetime
    retry_count: int
    """How many attempts beyond the first the job has made."""


class JobState(Accepted):
    """What is not known yet is left out."""

    started_at: datetime | None = None
    completed_at: datetime | None = None
    result_url: str | None = None
    file_size: int | None = None
    """In bytes."""
    error_message: str | None = None
    error_code: str | None = None
    """Why it failed, as a stable word: one of docs/errors.md."""
    source: str | None = None
    """Who did the work: `replicate`, `huggingface`, `mock`, or another provider's name."""
    queue_position: int | None = None
    """From 1, while it waits: how many jobs of its lane have to be begun until it is."""


class JobEntry(JobState):
    """A job in the list. What is not known, or is no more, is left out."""

    kind: Kind
    """What it makes: a `photo` of a photo, a `picture` or a `text` of a prompt."""
    name: str | None = None
    """What the client called its photo, for as long as the files are kept."""
    width: int | None = None
    height: int | None = None
    """Of the result in pixels; of the photo while there is none."""
    original_url: str | None = None
    thumbnail_url: str | None = None
    """Of the result, 320 pixels; of the photo while there is none."""
    files: FilesWord
    """Whether anything of it is kept beside this record."""
    expires_at: datetime | None = None
    """When its files may be deleted. Left out for ever, and while it has not ended."""
    cost_usd: float
    seconds: float | None = None
    """From its first start to its end."""
    provider: str | None = None
    """As `source`."""
    batch_id: UUID | None = None
    error: str | None = None
    """As `error_message`."""
    can_retry: bool
    """Whether it failed or was cancelled and can be tried again; a photo of a batch with its batch."""


class Page(BaseModel):
    jobs: list[JobEntry]
    total: int
    """Of all pages."""
    limit: int
    offset: int


def accepted(job: Job, attempts: int) -> Accepted:
    return Accepted(
        id=job.id,
        prompt=prompt_of(job),
        model_name=model_name_of(job),
        status=WORDS[job.status],
        created_at=job.created_at,
        retry_count=retries(attempts),
    )


def state(
    job: Job, attempts: int, settings: Settings, request: Request, position: int | None = None
) -> JobState:
    is_complete = job.status is JobStatus.SUCCEEDED
    return JobState(
        **accepted(job, attempts).model_dump(),
        started_at=job.started_at,
        completed_at=job.finished_at,
        result_url=result_url(job, settings, request) if is_complete else None,
        file_size=job.result_bytes,
        error_message=None if is_complete else job.error_detail,
        error_code=None if is_complete else job.error_code,
        source=provider_of(job),
        queue_position=position,
    )


def job_entry(job: Job, attempts: int, settings: Settings, request: Request) -> JobEntry:
    told = state(job, attempts, settings, request)
    kept = files_word(job)
    has_photo = job.status is JobStatus.SUCCEEDED and job.result_format is not None
    pixels = (job.result_width, job.result_height) if has_photo else (job.input_width, job.input_height)
    known = told.model_dump(exclude={"result_url"})
    return JobEntry(
        **known,
        result_url=told.result_url if kept == "kept" else None,
        kind=kind_of(job),
        name=job.original_filename,
        width=pixels[0],
        height=pixels[1],
        original_url=original_url(job, settings, request),
        thumbnail_url=thumbnail_url(job, settings, request),
        files=kept,
        expires_at=job.files_expire_at if kept == "kept" else None,
        cost_usd=job.cost_usd,
        seconds=_seconds(job),
        provider=told.source,
        batch_id=job.batch_id,
        error=told.error_message,
        can_retry=can_retry(job),
    )


def files_word(job: Job) -> FilesWord:
    if job.files_deleted_at is not None:
        return "expired"
    is_kept = job.input_key or job.result_key or job.result_text is not None
    return "kept" if is_kept else "none"


def _seconds(job: Job) -> float | None:
    if job.started_at is None or job.finished_at is None:
        return None
    return round((job.finished_at - job.started_at).total_seconds(), 3)


def page(
    found: tuple[int, Sequence[Job]],
    attempts: dict[UUID, int],
    bounds: tuple[int, int],
    settings: Settings,
    request: Request,
) -> Page:
    """`found` is the total and this page's jobs, `bounds` the page's limit and offset."""
    total, jobs = found
    entries = [job_entry(job, attempts.get(job.id, 0), settings, request) for job in jobs]
    return Page(jobs=entries, total=total, limit=bounds[0], offset=bounds[1])


def retries(attempts: int) -> int:
    return max(attempts - 1, 0)
