"""Answers the same photo with the same wishes from a result that is still kept: at once, and at no cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from relume.errors import NotFound
from relume.imaging.photo import ImageFormat
from relume.jobs.models import Job
from relume.jobs.repository.jobs import JobRepository
from relume.pipeline import Restored
from relume.ports import Store
from relume.recipes import Recipe


@dataclass(frozen=True, slots=True)
class CachedResult:
    restored: Restored
    report: list[dict[str, Any]]
    """What the earlier job did, at a cost of 0."""


def at_no_cost(report: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """An earlier job's report, as one that uses its result has it."""
    return [part | {"cost_usd": 0.0} for part in report or []]


class ResultCache:
    """Looks among the jobs themselves: there is no other store to fill, to bound or to expire.

    `served_by` names who would do a recipe now, and in what version: a change of either makes another key.
    """

    def __init__(
        self,
        repository: JobRepository,
        store: Store,
        served_by: Callable[[Recipe], str],
        *,
        keep_unmixed: bool = False,
    ) -> None:
        self._keep_unmixed = keep_unmixed
        self._repository = repository
        self._store = store
        self._served_by = served_by

    def key(self, job: Job, recipe: Recipe, data: bytes) -> str:
        parts = (
            job.model_id,
            repr(job.strength),
            str(job.scale),
            json.dumps(job.parameters, sort_keys=True),
            self._served_by(recipe),
            hashlib.sha256(data).hexdigest(),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    async def find(self, key: str) -> CachedResult | None:
        earlier = await self._repository.same_result(key)
        if earlier is None or earlier.result_key is None:
            return None
        try:
            data = await self._store.get(earlier.result_key)
        except NotFound:
            return None
        restored = Restored(
            data=data,
            format=ImageFormat(str(earlier.result_format)),
            width=earlier.result_width or 0,
            height=earlier.result_height or 0,
            outcome=str(earlier.outcome),
            fidelity=earlier.fidelity,
            reports=(),
            unmixed=await self._unmixed(earlier),
        )
        return CachedResult(restored, at_no_cost(earlier.report))

    async def _unmixed(self, earlier: Job) -> bytes | None:
        """A copy for the new job, so that it needs the earlier one for nothing."""
        if earlier.unmixed_key is None or not self._keep_unmixed:
            return None
        with suppress(NotFound):
            return await self._store.get(earlier.unmixed_key)
        return None
