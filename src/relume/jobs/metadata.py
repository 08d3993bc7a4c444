"""What is told of a job in its metadata: asked for, made by whom, at what cost. Kept as a file beside the media.

The file is written when the job has succeeded, in the same step that moves the picture to its final place: that
step is repeated by the janitor until it is done, so that a process which dies in between leaves no gap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from relume.errors import Conflict
from relume.jobs.files import metadata_key
from relume.jobs.models import AttemptRow, Job, JobStatus, worked_last
from relume.jobs.repository.jobs import JobRepository
from relume.ports import Store

_ASKED = (
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
    "seed",
    "go_fast",
    "output_format",
)


async def keep_metadata(job_id: UUID, store: Store, repository: JobRepository) -> None:
    """Write the file of an ended job, once: repeating it changes nothing."""
    told = describe(await repository.get(job_id), await repository.attempts(job_id))
    with suppress(Conflict):
        await store.put(metadata_key(job_id), json.dumps(told, indent=2).encode())


def describe(job: Job, attempts: Sequence[AttemptRow]) -> dict[str, Any]:
    """All that is known of a job now; what is not known (yet) is left out. Values are those of JSON."""
    told = _asked(job) | _made(job, attempts) | _when(job)
    told["attempts"] = [_attempt(attempt) for attempt in attempts]
    return {name: value for name, value in told.items() if value is not None}


def prompt_of(job: Job) -> str | None:
    return (job.parameters or {}).get("prompt")


def model_name_of(job: Job) -> str:
    """The model that was named, or the recipe's id where the recipe decides."""
    return (job.parameters or {}).get("model") or job.model_id


def provider_of(job: Job) -> str | None:
    """Who did the last task that changed something."""
    return worked_last(job.report)


def _asked(job: Job) -> dict[str, Any]:
    asked = job.parameters or {}
    return {
        "id": str(job.id),
        "prompt": prompt_of(job),
        "model_name": model_name_of(job),
        "strength": None if prompt_of(job) else job.strength,
        "render_of": str(job.render_of) if job.render_of else None,
        "width": job.result_width or asked.get("width"),
        "height": job.result_height or asked.get("height"),
        "num_outputs": 1,
        **{name: asked.get(name) for name in _ASKED},
    }


def _made(job: Job, attempts: Sequence[AttemptRow]) -> dict[str, Any]:
    last = (job.report or [{}])[-1]
    external = [attempt.external_id for attempt in attempts if attempt.external_id]
    return {
        "outcome": job.outcome,
        "source": provider_of(job),
        "provider": last.get("provider"),
        "model": last.get("model"),
        "version": last.get("version"),
        "external_job_id": external[-1] if external else None,
        "cost_usd": sum(attempt.cost_usd for attempt in attempts),
        "file_size": job.result_bytes,
        "error_code": job.error_code,
        "error_message": job.error_detail,
    }


def _when(job: Job) -> dict[str, Any]:
    is_complete = job.status is JobStatus.SUCCEEDED
    return {
        "created_at": _utc(job.created_at),
        "started_at": _utc(job.started_at),
        "completed_at": _utc(job.finished_at) if is_complete else None,
    }


def _attempt(attempt: AttemptRow) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "version": attempt.version,
        "external_job_id": attempt.external_id,
        "started_at": _utc(attempt.started_at),
        "seconds": attempt.seconds,
        "error_class": attempt.error_class,
        "cost_usd": attempt.cost_usd,
    }


def _utc(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
