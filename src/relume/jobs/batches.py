"""Accepting, cancelling and retrying batches: many photos by one request, each of them a job of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from relume.errors import Conflict, IdempotencyMismatch, ImageTooLarge, NotFound, QuotaExceeded, RelumeError
from relume.imaging.inspect import ImageInfo
from relume.imaging.limits import Limits
from relume.imaging.photo import ImageFormat
from relume.jobs import counting
from relume.jobs.filenames import display_name, folded
from relume.jobs.files import upload_key
from relume.jobs.models import Batch, IdempotencyKey, Job, JobStatus
from relume.jobs.repository.batches import BatchRepository
from relume.jobs.repository.jobs import KeyTaken
from relume.jobs.retrying import can_retry
from relume.jobs.service import JobService, scope_of
from relume.metrics import REFUSALS
from relume.pipeline import Pipeline
from relume.ports import NO_METERS, Clock, Meters, Queue, Store
from relume.recipes import Recipe
from relume.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class BatchSubmission:
    """What a contract has made of a client's request, but for its files."""

    contract: str
    recipe: Recipe
    lane: str
    options: dict[str, Any]
    parameters: dict[str, Any] | None = None
    """What the recipe asks for beyond strength and scale."""
    client: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of a request: stored, or refused."""

    job_id: UUID
    original_filename: str
    size_bytes: int
    sha256: str
    info: ImageInfo | None = None
    error: RelumeError | None = None

    @property
    def input_key(self) -> str | None:
        return upload_key(self.job_id, self.info.format) if self.info else None


class BatchService:
    """The engine's door for many photos at once.

    Files are stored as they come, one at a time in memory; then one transaction makes the batch and all its
    jobs; then the queue is told. A process that dies before the commit leaves nothing but files that no job
    names, which the janitor removes.
    """

    def __init__(
        self,
        *,
        repository: BatchRepository,
        jobs: JobService,
        store: Store,
        queue: Queue,
        pipeline: Pipeline,
        clock: Clock,
        limits: Limits,
        meters: Meters = NO_METERS,
    ) -> None:
        self.repository = repository
        self._meters = meters
        self._jobs = jobs
        self._store = store
        self._queue = queue
        self._pipeline = pipeline
        self._clock = clock
        self._limits = limits

    @asynccontextmanager
    async def intake(self) -> AsyncIterator[Intake]:
        """Takes the files of one request. What it stored is deleted when the block ends with an exception."""
        intake = Intake(self)
        try:
            yield intake
        except BaseException:
            await asyncio.shield(self._discard(intake.files))
            raise

    async def jobs(self, batch_id: UUID) -> list[Job]:
        """The jobs of a batch in the order of its files. A job's own id stands for a batch of that one.

        Raises NotFound.
        """
        return await self.repository.jobs(batch_id) or [await self._jobs.get(batch_id)]

    async def queue_position(self, jobs: Sequence[Job]) -> int | None:
        """Which place the first of these jobs that waits has in its queue, from 1; None when none waits."""
        waiting = [job for job in jobs if job.status is JobStatus.QUEUED]
        if not waiting:
            return None
        first = min(waiting, key=lambda job: job.created_at)
        return 1 + await self.repository.waiting_before(first)

    async def cancel(self, batch_id: UUID) -> list[Job]:
        """Cancel what waits and stop what runs. Raises NotFound, and Conflict when every file has ended."""
        await self.repository.get(batch_id)
        open_jobs = [job for job in await self.repository.jobs(batch_id) if not job.status.has_ended]
        if not open_jobs:
            raise Conflict("Every file has ended; there is nothing to cancel.")
        for job in reversed(open_jobs):  # From the end, where no worker is yet.
            with suppress(Conflict):
                await self._jobs.cancel(job.id)
        return await self.repository.jobs(batch_id)

    async def retry(self, batch_id: UUID) -> list[Job]:
        """New jobs for those that failed or were cancelled and whose originals are kept.

        A file that was refused when it came is not tried again. Raises NotFound, QuotaExceeded, and Conflict
        when there is nothing to try again.
        """
        await self.repository.get(batch_id)
        pairs = [await self._again(job) for job in await self.repository.jobs(batch_id) if can_retry(job)]
        copied = [pair for pair in pairs if pair is not None]
        try:
            placed = await self.repository.replace(copied)
        except QuotaExceeded:
            self._meters.count(REFUSALS, reason=QuotaExceeded.code)
            await self._store.delete([str(new.input_key) for _, new in copied])
            raise
        await self._store.delete([str(new.input_key) for _, new in copied if new not in placed])
        if not placed:
            raise Conflict("There is nothing to try again: no file failed whose original is still kept.")
        log.info("batch.retried", batch_id=str(batch_id), files=len(placed))
        self._enqueue(placed)
        return await self.repository.jobs(batch_id)

    async def _again(self, old: Job) -> tuple[Job, Job] | None:
        """The old job and one that asks for the same. None when the original has just been deleted."""
        now = self._clock.now()
        same = old.model_dump(include=_KEPT_BY_RETRY)
        new = Job(**same, id=uuid4(), created_at=now, available_at=now, enqueued_at=now)
        assert old.input_key is not None  # noqa: S101 (can_retry, and no photo of a batch comes by URL)
        new.input_key = upload_key(new.id, ImageFormat(str(old.input_format)))
        try:
            await self._store.put(new.input_key, await self._store.get(old.input_key))
        except NotFound:
            return None
        return old, new

    async def _receive(self, index: int, filename: str | None, data: bytes | None, size: int) -> ReceivedFile:
        name, job_id = display_name(filename, index), uuid4()
        if data is None:
            error = ImageTooLarge(
                f"The photo is too large; at most {self._limits.max_bytes / 1e6:g} MB are allowed."
            )
            return ReceivedFile(job_id, name, size, "", error=error)
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            info = await self._pipeline.check(data, self._limits)
        except RelumeError as refusal:
            return ReceivedFile(job_id, name, size, sha256, error=refusal)
        received = ReceivedFile(job_id, name, size, sha256, info=info)
        await self._store.put(str(received.input_key), data)
        return received

    async def _counted_submit(self, submission: BatchSubmission, files: Sequence[ReceivedFile]) -> Batch:
        try:
            return await self._submit(submission, files)
        except QuotaExceeded:
            self._meters.count(REFUSALS, reason=QuotaExceeded.code)
            raise

    async def _submit(self, submission: BatchSubmission, files: Sequence[ReceivedFile]) -> Batch:
        digest = _digest(submission, files)
        if earlier := await self._earlier(submission, digest):
            await self._discard(files)
            return earlier
        await self._jobs.repository.check_quota(submission.client, self._clock.now())
        batch = Batch(
            id=uuid4(),
            contract=submission.contract,
            client=submission.client,
            options=submission.options,
            created_at=self._clock.now(),
        )
        jobs = [_new_job(batch, submission, index, received) for index, received in enumerate(files)]
        try:
            await self.repository.add(batch, jobs, _key(submission, digest, batch, jobs[0]))
        except KeyTaken:
            earlier = await self._earlier(submission, digest)
            if earlier is None:
                return await self._submit(submission, files)
            await self._discard(files)
            return earlier
        self._tell(batch, jobs)
        return batch

    def _tell(self, batch: Batch, jobs: Sequence[Job]) -> None:
        accepted = [job for job in jobs if job.status is JobStatus.QUEUED]
        refused = len(jobs) - len(accepted)
        log.info("batch.requested", batch_id=str(batch.id), files=len(jobs), refused=refused)
        for job in accepted:
            counting.accepted(self._meters, job)
            log.info("restore.requested", job_id=str(job.id), model_id=job.model_id, contract=job.contract)
        self._enqueue(accepted)

    def _enqueue(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._queue.enqueue(job.id, job.lane)

    async def _earlier(self, submission: BatchSubmission, digest: str) -> Batch | None:
        """The batch that the same idempotency key has made before. Raises IdempotencyMismatch."""
        if submission.idempotency_key is None:
            return None
        key = await self._jobs.repository.key(scope_of(submission.client), submission.idempotency_key)
        if key is None:
            return None
        if key.request_digest != digest or key.batch_id is None:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used with another request. Use a new key for a new request."
            )
        return await self.repository.get(key.batch_id)

    async def _discard(self, files: Sequence[ReceivedFile]) -> None:
        await self._store.delete([received.input_key for received in files if received.input_key])


@dataclass(slots=True)
class Intake:
    """The files of one request so far."""

    _service: BatchService
    files: list[ReceivedFile] = field(default_factory=list)

    async def receive(self, filename: str | None, data: bytes | None, size_bytes: int) -> None:
        """Check and store one file; one that is no photo is kept in mind with its fault.

        `data` None says that the file was larger than allowed, and was not kept.
        """
        self.files.append(await self._service._receive(len(self.files), filename, data, size_bytes))

    async def submit(self, submission: BatchSubmission) -> Batch:
        """Accept the files as one batch: when this returns, each of its jobs survives the death of any process.

        Raises IdempotencyMismatch and QuotaExceeded.
        """
        return await self._service._counted_submit(submission, self.files)


_KEPT_BY_RETRY = {
    *("contract", "client", "batch_id", "batch_index", "original_filename", "search_text"),
    *("model_id", "strength", "scale", "parameters", "local_only", "lane"),
    *("input_format", "input_width", "input_height", "input_bytes"),
}


def _new_job(batch: Batch, submission: BatchSubmission, index: int, received: ReceivedFile) -> Job:
    job = Job(
        id=received.job_id,
        contract=submission.contract,
        client=submission.client,
        batch_id=batch.id,
        batch_index=index,
        original_filename=received.original_filename,
        search_text=folded(received.original_filename),
        model_id=submission.recipe.model_id,
        strength=submission.recipe.strength,
        scale=submission.recipe.scale,
        parameters=submission.parameters,
        local_only=submission.recipe.local_only,
        lane=submission.lane,
        input_key=received.input_key,
        input_bytes=received.size_bytes,
        created_at=batch.created_at,
        available_at=batch.created_at,
        enqueued_at=batch.created_at,
    )
    if received.info is not None:
        job.input_format = received.info.format
        job.input_width, job.input_height = received.info.width, received.info.height
    if received.error is not None:
        job.status, job.finished_at = JobStatus.FAILED, batch.created_at
        job.error_code, job.error_detail = received.error.code, received.error.detail
    return job


def _digest(submission: BatchSubmission, files: Sequence[ReceivedFile]) -> str:
    """Names the request: equal for a repetition, different for any change in what is asked."""
    parts = [
        submission.contract,
        submission.recipe.model_id,
        json.dumps(submission.options, sort_keys=True),
        *(f"{received.original_filename}/{received.size_bytes}/{received.sha256}" for received in files),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _key(submission: BatchSubmission, digest: str, batch: Batch, first: Job) -> IdempotencyKey | None:
    if submission.idempotency_key is None:
        return None
    return IdempotencyKey(
        scope=scope_of(submission.client),
        key=submission.idempotency_key,
        request_digest=digest,
        job_id=first.id,
        batch_id=batch.id,
        created_at=batch.created_at,
    )
