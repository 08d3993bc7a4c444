"""Another strength after the fact: a new job that mixes a kept restoration over its original once more.

The restoration belongs to the job that made it. Whatever is rendered from it, and from that again, leads to that
one job (`render_of`), and ends being possible when its files go. A rendered job has an original and a result of
its own.
"""

from __future__ import annotations

from uuid import UUID

from relume.errors import Conflict, Expired, NotFound
from relume.imaging.photo import ImageFormat
from relume.jobs.files import unmixed_staging_key
from relume.jobs.models import Job, JobStatus
from relume.jobs.repository.jobs import JobRepository
from relume.pipeline import Restored
from relume.ports import Store
from relume.recipes import STRENGTH_MAX, build

UNCHANGED = "unchanged"
_EXPIRED = "The files of this job were deleted after their time; send the photo again."
_ORIGIN_EXPIRED = "The restoration that this was made from was deleted after its time; send the photo again."


async def origin_of(job_id: UUID, repository: JobRepository) -> Job:
    """The job that owns the restoration behind a job. Raises NotFound, Conflict, Expired."""
    job = await repository.get(job_id)
    _check(job)
    return job if job.render_of is None else await owner_of(job, repository)


async def owner_of(rendered: Job, repository: JobRepository) -> Job:
    """The same for a job that is a rendering itself, finished or not. Raises Expired."""
    assert rendered.render_of is not None  # noqa: S101 (it is a rendering)
    try:
        owner = await repository.get(rendered.render_of)
    except NotFound as error:
        raise Expired(_ORIGIN_EXPIRED) from error
    if owner.files_deleted_at is not None:
        raise Expired(_ORIGIN_EXPIRED)
    return owner


async def unmixed_of(owner: Job, store: Store) -> bytes:
    """The restoration as it was before it was mixed. Raises Expired."""
    final, staged = owner.result_key, owner.staged_key
    if owner.unmixed_key is not None:
        final, staged = owner.unmixed_key, staged and unmixed_staging_key(staged)
    # A file that is being moved while it is looked for is found in its final place at the second look.
    for key in (final, staged, final):
        if key is not None:
            try:
                return await store.get(key)
            except NotFound:
                continue
    raise Expired(_ORIGIN_EXPIRED)


def as_it_is(owner: Job, data: bytes) -> Restored:
    """The result of a job that changed nothing: it is the same at any strength."""
    return Restored(
        data=data,
        format=ImageFormat(str(owner.result_format)),
        width=owner.result_width or 0,
        height=owner.result_height or 0,
        outcome=UNCHANGED,
        fidelity=owner.fidelity,
        reports=(),
    )


def _check(job: Job) -> None:
    """Raises Conflict, Expired."""
    if not job.status.has_ended:
        raise Conflict("This job is not finished yet; its strength can be changed when it has succeeded.")
    if job.status is not JobStatus.SUCCEEDED:
        raise Conflict("This job has no result: it was cancelled, or it failed.")
    if not build(job.model_id, strength=job.strength, scale=job.scale, parameters=job.parameters).needs_photo:
        raise Conflict("This was made from a prompt: there is no original that it could be mixed with.")
    if job.files_deleted_at is not None:
        raise Expired(_EXPIRED)
    has_unmixed = job.unmixed_key is not None or job.strength >= STRENGTH_MAX or job.outcome == UNCHANGED
    if job.render_of is None and not has_unmixed:
        raise Conflict(
            "Only the mixed result of this photo was kept (KEEP_UNMIXED is false, or was then). "
            "Send the photo again with the strength you want."
        )
