"""What the engine counts of jobs and attempts: one function for each moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from relume.jobs.models import Job, JobStatus, worked_last
from relume.metrics import (
    ATTEMPT_DURATION,
    ATTEMPT_FAILURES,
    ATTEMPTS,
    COST,
    FALLBACKS,
    JOB_DURATION,
    JOB_FAILURES,
    JOB_RERUNS,
    JOB_WAIT,
    JOBS_ACCEPTED,
    JOBS_ENDED,
)
from relume.ports import Attempt, Meters

CACHE = "cache"
"""Stands for a provider where an earlier result was used again."""
RENDER = "render"
"""Stands for a provider where a kept restoration was mixed at another strength."""
_NOBODY = "none"


def accepted(meters: Meters, job: Job) -> None:
    meters.count(JOBS_ACCEPTED, contract=job.contract, model=job.model_id)


def claimed(meters: Meters, job: Job, now: datetime) -> None:
    """A job that a worker has taken at `now`."""
    if job.runs > 1:
        meters.count(JOB_RERUNS, lane=job.lane)
    elif job.started_at == now:  # Else a worker that was told to stop has had it before.
        meters.observe(JOB_WAIT, _seconds(job.created_at, now), lane=job.lane)


def ended(meters: Meters, job: Job, values: dict[str, Any], *, cached: bool = False) -> None:
    """A job that has ended with `values`, which are those of its row."""
    status: JobStatus = values["status"]
    provider = worked_last(values.get("report")) or _NOBODY
    if cached or job.render_of is not None:
        provider = CACHE if cached else RENDER
    meters.count(
        JOBS_ENDED,
        contract=job.contract,
        model=job.model_id,
        provider=provider,
        status=status.value,
        outcome=str(values.get("outcome") or status.value),
    )
    if status is JobStatus.FAILED:
        meters.count(JOB_FAILURES, contract=job.contract, code=str(values["error_code"]))
    if job.started_at is not None:
        seconds = _seconds(job.started_at, values["finished_at"])
        meters.observe(JOB_DURATION, seconds, contract=job.contract, lane=job.lane)


def attempted(meters: Meters, attempt: Attempt, cost_usd: float) -> None:
    """A try of a provider; `cost_usd` is what has not been counted before for the same run there."""
    labels = {"provider": attempt.provider, "task": attempt.task}
    outcome = "failed" if attempt.error_class else "succeeded"
    meters.count(ATTEMPTS, outcome=outcome, **labels)
    meters.observe(ATTEMPT_DURATION, attempt.seconds, **labels)
    if attempt.error_class:
        meters.count(ATTEMPT_FAILURES, error=attempt.error_class, **labels)
    elif attempt.fallback:
        meters.count(FALLBACKS, **labels)
    if cost_usd:
        meters.count(COST, cost_usd, **labels)


def _seconds(start: datetime, end: datetime) -> float:
    """Never negative: the clocks of two machines may differ a little."""
    return max((end - start).total_seconds(), 0.0)
