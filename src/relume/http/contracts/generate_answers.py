"""Contract E's answers: jobs in its words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel

from relume.http.files import result_url
from relume.jobs.metadata import model_name_of, prompt_of, provider_of
from relume.jobs.models import Job, JobStatus
from relume.settings import Settings

Word = Literal["pending", "processing", "completed", "failed", "cancelled"]

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
    source: str | None = None
    """Who did the work: `replicate`, `huggingface`, `mock`, or another provider's name."""


class Page(BaseModel):
    jobs: list[JobState]
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


def state(job: Job, attempts: int, settings: Settings, request: Request) -> JobState:
    is_complete = job.status is JobStatus.SUCCEEDED
    return JobState(
        **accepted(job, attempts).model_dump(),
        started_at=job.started_at,
        completed_at=job.finished_at,
        result_url=result_url(job, settings, request) if is_complete else None,
        file_size=job.result_bytes,
        error_message=None if is_complete else job.error_detail,
        source=provider_of(job),
    )


def page(
    found: tuple[int, Sequence[Job]],
    attempts: dict[UUID, int],
    bounds: tuple[int, int],
    settings: Settings,
    request: Request,
) -> Page:
    """`found` is the total and this page's jobs, `bounds` the page's limit and offset."""
    total, jobs = found
    states = [state(job, attempts.get(job.id, 0), settings, request) for job in jobs]
    return Page(jobs=states, total=total, limit=bounds[0], offset=bounds[1])


def retries(attempts: int) -> int:
    return max(attempts - 1, 0)
