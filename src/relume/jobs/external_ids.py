"""The runs that hosted providers have begun for a job, kept in the database."""

from __future__ import annotations

from relume.jobs.models import ExternalRun, Job
from relume.jobs.repository.leases import Leases
from relume.ports import Clock


class JobExternalIds:
    """Keeps the promises of `ports.ExternalIds` for one job."""

    def __init__(self, job: Job, leases: Leases, clock: Clock) -> None:
        self._job = job
        self._leases = leases
        self._clock = clock

    async def recall(self, step: int, provider: str) -> str | None:
        return await self._leases.external_id(self._job.id, step, provider)

    async def remember(self, step: int, provider: str, external_id: str) -> None:
        now = self._clock.now()
        await self._leases.remember_external(
            ExternalRun(
                job_id=self._job.id, step=step, provider=provider, external_id=external_id, created_at=now
            )
        )

    async def forget(self, step: int, provider: str) -> None:
        await self._leases.forget_external(self._job.id, step, provider)
