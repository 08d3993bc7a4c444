"""Accepting, watching and cancelling jobs: what every contract calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from relume.errors import Conflict, Expired, IdempotencyMismatch, NotFound, QuotaExceeded
from relume.imaging.limits import Limits
from relume.imaging.photo import ImageFormat
from relume.jobs import counting, webhook_message
from relume.jobs.cancels import wish
from relume.jobs.filenames import folded, shown_filename
from relume.jobs.files import upload_key
from relume.jobs.models import IdempotencyKey, Job, JobStatus
from relume.jobs.repository.jobs import JobRepository, KeyTaken
from relume.metrics import REFUSALS
from relume.pipeline import Pipeline
from relume.ports import NO_METERS, Clock, Events, JobEvent, Meters, Queue, Store
from relume.recipes import Recipe
from relume.telemetry import logger

log = logger(__name__)

ADDRESS_PREFIX = "address-"
"""Begins the names of clients that are known by their address alone."""
CANCELLED_DETAIL = "The job was cancelled."


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client's request has been made into.

    Either `data` or `source_url` is set, or neither where the recipe needs no photo.
    """

    contract: str
    recipe: Recipe
    lane: str
    data: bytes | None = None
    source_url: str | None = None
    filename: str | None = None
    """What the client calls the photo, as it came."""
    render_of: Job | None = None
    """In place of both: whose restoration is to be mixed over its original at another strength."""
    retry_of: Job | None = None
    """Which job is tried again. Its kept original, where it has one, is in place of `data`."""
    parameters: dict[str, Any] | None = None
    formats: frozenset[ImageFormat] | None = None
    """What `data` may be; None for the formats of contract D."""
    client: str | None = None
    idempotency_key: str | None = None
    webhook_url: str | None = None
    work_seconds: float | None = None
    """How long providers may take while the client waits; None for a client that comes back for the result."""

    def digest(self) -> str:
        """Names the request: equal for a repetition, different for any change in what is asked."""
        parts = [
            self.contract,
            self.recipe.model_id,
            repr(self.recipe.strength),
            str(self.recipe.scale),
            self.source_url or "",
            self.webhook_url or "",
            json.dumps(self.parameters, sort_keys=True),
            hashlib.sha256(self.data or b"").hexdigest(),
        ]
        if self.recipe.local_only:  # Left out otherwise: keys of an earlier version are still remembered.
            parts.append("local_only")
        if self.render_of is not None:
            parts.append(f"render_of={self.render_of.id}")
        if self.retry_of is not None:
            parts.append(f"retry_of={self.retry_of.id}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class JobService:
    """The engine's front door. Stores first, commits one row, and only then tells the queue."""

    def __init__(
        self,
        *,
        repository: JobRepository,
        store: Store,
        queue: Queue,
        events: Events,
        pipeline: Pipeline,
        clock: Clock,
        limits: Limits,
        keep_files: timedelta | None,
        meters: Meters = NO_METERS,
    ) -> None:
        self._meters = meters
        self.repository = repository
        self._store = store
        self._queue = queue
        self._events = events
        self._pipeline = pipeline
        self._clock = clock
        self._limits = limits
        self._keep_files = keep_files

    async def submit(self, submission: Submission) -> Job:
        """Accept a job: when this returns, the job survives the death of any process.

        Raises the image's faults, IdempotencyMismatch and QuotaExceeded.
        """
        try:
            return await self._submit(submission)
        except QuotaExceeded:
            self._meters.count(REFUSALS, reason=QuotaExceeded.code)
            raise

    async def _submit(self, submission: Submission) -> Job:
        if earlier := await self._earlier(submission):
            return earlier
        await self.repository.check_quota(submission.client, self._clock.now())
        job = self._new_job(submission)
        if submission.data is not None:
            await self._keep_input(job, submission.data, submission.formats)
        origin = submission.retry_of or submission.render_of
        if origin is not None and origin.input_key is not None:
            await self._copy_input(job, origin, origin.input_key)
        try:
            await self.repository.add(job, self._key(submission, job))
        except (KeyTaken, QuotaExceeded) as error:
            if job.input_key:
                await self._store.delete([job.input_key])
            if earlier := await self._earlier(submission):  # An equal request was quicker.
                return earlier
            if isinstance(error, QuotaExceeded):
                raise
            return await self._submit(submission)
        counting.accepted(self._meters, job)
        log.info("restore.requested", job_id=str(job.id), model_id=job.model_id, contract=job.contract)
        self._queue.enqueue(job.id, job.lane)
        return job

    async def get(self, job_id: UUID) -> Job:
        """Raises NotFound."""
        return await self.repository.get(job_id)

    async def watch(
        self, job_id: UUID, *, while_queued: bool = False
    ) -> AsyncIterator[tuple[Job, str | None]]:
        """The job and the step it is at, whenever either changes, until it has ended. Raises NotFound.

        With `while_queued` also every few seconds while it waits: its place in the queue may have changed.
        """
        job = await self.repository.get(job_id)
        yield job, job.step
        if job.status.has_ended:
            return
        seen = (job.status, job.progress, job.step)
        async for event in self._events.subscribe(job_id):
            if event is None or JobStatus(event.status).has_ended:
                stored = await self.repository.get(job_id)
                job = stored.model_copy(update={"progress": max(job.progress, stored.progress)})
            else:
                job = _overlay(job, event)
            still_waits = while_queued and event is None and job.status is JobStatus.QUEUED
            if still_waits or (job.status, job.progress, job.step) != seen:
                seen = (job.status, job.progress, job.step)
                yield job, job.step
            if job.status.has_ended:
                return

    async def wait(self, job_id: UUID, seconds: float) -> Job:
        """The job as it is when it has ended, or when the time is up. Raises NotFound."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in self.watch(job_id):
                    pass
        return await self.repository.get(job_id)

    async def cancel(self, job_id: UUID) -> Job:
        """Cancel a queued job at once, or ask its worker to stop. Raises NotFound, and Conflict if it has ended."""
        job = await self.repository.get(job_id)
        now = self._clock.now()
        ended = {
            "status": JobStatus.CANCELLED,
            "error_code": "job_cancelled",
            "error_detail": CANCELLED_DETAIL,
            "finished_at": now,
            "files_expire_at": now + self._keep_files if self._keep_files else None,
        }
        message = webhook_message.for_end(job, ended, now)
        if await self.repository.cancel_queued(job_id, message, **ended):
            counting.ended(self._meters, job, ended)
            log.info("restore.cancelled", job_id=str(job_id))
            self._events.publish(JobEvent(job_id, JobStatus.CANCELLED, job.progress))
        elif await self.repository.request_cancel(job_id):
            self._events.publish(wish(job_id))
            self._events.publish(JobEvent(job_id, JobStatus.RUNNING, job.progress, step="cancelling"))
        else:
            raise Conflict("The job has ended; there is nothing to cancel.")
        return await self.repository.get(job_id)

    async def open_result(self, job_id: UUID) -> tuple[Job, int, AsyncIterator[bytes]]:
        """The job, its result's size in bytes, and the result in chunks. Raises NotFound, Expired, Conflict."""
        job = await self.repository.get(job_id)
        if job.files_deleted_at is not None:
            raise Expired("This file was deleted after its time. The job's record is kept.")
        if job.status is not JobStatus.SUCCEEDED or job.result_key is None:
            raise Conflict("This job has no result.")
        # A result that is being moved while it is looked for is found in its final place at the second look.
        keys = [key for key in (job.result_key, job.staged_key, job.result_key) if key]
        for key in keys:
            try:
                return job, await self._store.size(key), self._first_of(keys)
            except NotFound:
                continue
        raise Expired("This file is not kept any more.")

    async def link_to_result(
        self, job: Job, expires: timedelta, method: Literal["GET", "HEAD"]
    ) -> str | None:
        """A URL at the store itself; None where it has none, or while the result is being moved."""
        if job.result_key is None or job.staged_key is not None:
            return None
        return await self._store.presigned(job.result_key, expires, method)

    async def _first_of(self, keys: list[str]) -> AsyncIterator[bytes]:
        """The object of the first key that is there. Raises NotFound before the first chunk."""
        for key in keys[:-1]:
            try:
                async for chunk in self._store.stream(key):
                    yield chunk
            except NotFound:
                continue
            return
        async for chunk in self._store.stream(keys[-1]):
            yield chunk

    async def read_result(self, job_id: UUID) -> bytes:
        """The whole result. Raises as `open_result` does."""
        _, _, chunks = await self.open_result(job_id)
        return b"".join([chunk async for chunk in chunks])

    async def _earlier(self, submission: Submission) -> Job | None:
        """The job that the same idempotency key has made before."""
        if submission.idempotency_key is None:
            return None
        key = await self.repository.key(scope_of(submission.client), submission.idempotency_key)
        if key is None:
            return None
        if key.request_digest != submission.digest():
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another request. Use a new key for a new request."
            )
        return await self.repository.get(key.job_id)

    def _new_job(self, submission: Submission) -> Job:
        now = self._clock.now()
        name = shown_filename(submission.filename)
        return Job(
            id=uuid4(),
            contract=submission.contract,
            client=submission.client,
            original_filename=name,
            search_text=folded(name or (submission.parameters or {}).get("prompt") or "") or None,
            model_id=submission.recipe.model_id,
            strength=submission.recipe.strength,
            scale=submission.recipe.scale,
            parameters=submission.parameters,
            local_only=submission.recipe.local_only,
            render_of=submission.render_of.id if submission.render_of else None,
            source_url=submission.source_url,
            lane=submission.lane,
            webhook_url=submission.webhook_url,
            deadline_at=_after(now, submission.work_seconds),
            created_at=now,
            available_at=now,
            enqueued_at=now,
        )

    async def _keep_input(self, job: Job, data: bytes, formats: frozenset[ImageFormat] | None) -> None:
        limits = replace(self._limits, formats=formats or self._limits.formats)
        info = await self._pipeline.check(data, limits)
        job.input_key = upload_key(job.id, info.format)
        job.input_format = info.format
        job.input_width, job.input_height = info.width, info.height
        job.input_bytes = len(data)
        await self._store.put(job.input_key, data)

    async def _copy_input(self, job: Job, origin: Job, input_key: str) -> None:
        """Each job has an original of its own. Raises Expired."""
        try:
            data = await self._store.get(input_key)
        except NotFound as error:
            raise Expired("The original of this job was deleted after its time.") from error
        job.original_filename, job.search_text = origin.original_filename, origin.search_text
        job.input_key = upload_key(job.id, ImageFormat(str(origin.input_format)))
        job.input_format, job.input_bytes = origin.input_format, origin.input_bytes
        job.input_width, job.input_height = origin.input_width, origin.input_height
        await self._store.put(job.input_key, data)

    def _key(self, submission: Submission, job: Job) -> IdempotencyKey | None:
        if submission.idempotency_key is None:
            return None
        return IdempotencyKey(
            scope=scope_of(submission.client),
            key=submission.idempotency_key,
            request_digest=submission.digest(),
            job_id=job.id,
            created_at=job.created_at,
        )


def scope_of(client: str | None) -> str:
    """Whose idempotency keys a client's are. An address is no owner: a phone that repeats may have another one."""
    if client is None or client.startswith(ADDRESS_PREFIX):
        return "open"
    return client


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _overlay(job: Job, event: JobEvent) -> Job:
    progress = max(job.progress, event.progress)
    return job.model_copy(
        update={"status": JobStatus(event.status), "progress": progress, "step": event.step}
    )
