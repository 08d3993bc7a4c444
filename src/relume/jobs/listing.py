"""Which jobs a list shows: the filters, and the conditions that they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from relume.jobs.filenames import folded
from relume.jobs.models import Job, JobStatus, column
from relume.recipes import GENERATION_MODEL, PICTURE_MODEL, TEXT_MODEL

Kind = Literal["photo", "picture", "text"]
"""What a job makes: of a photo another photo; of a prompt a picture, or a text."""

_MODELS: dict[Kind, tuple[str, ...]] = {
    "picture": (GENERATION_MODEL, PICTURE_MODEL),
    "text": (TEXT_MODEL,),
}
_FROM_PROMPTS = tuple(model for models in _MODELS.values() for model in models)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Every part that is set narrows the list."""

    status: JobStatus | None = None
    kind: Kind | None = None
    search: str | None = None
    """A part of the client's file name, or of the prompt where there is no such name; without regard to case."""
    client: str | None = None

    def conditions(self) -> list[Any]:
        """For a query on jobs."""
        found = []
        if self.status is not None:
            found.append(column(Job.status) == self.status)
        if self.kind is not None:
            models = _MODELS.get(self.kind)
            model_id = column(Job.model_id)
            found.append(model_id.not_in(_FROM_PROMPTS) if models is None else model_id.in_(models))
        if self.search is not None:
            found.append(column(Job.search_text).contains(folded(self.search), autoescape=True))
        if self.client is not None:
            found.append(column(Job.client) == self.client)
        return found


EVERY_JOB = JobFilter()


def kind_of(job: Job) -> Kind:
    return next((kind for kind, models in _MODELS.items() if job.model_id in models), "photo")
