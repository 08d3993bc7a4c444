"""The list of jobs of all contracts, what it can be narrowed by, and deleting what is kept of a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from relume.errors import Conflict, InvalidParameter, KeyMissing, KeyWrong, NotFound
from relume.http.contracts.generate_answers import STATUSES, JobEntry, Page, job_entry, page
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.jobs.listing import JobFilter, Kind
from relume.jobs.models import JobStatus
from relume.jobs.originals import delete_files
from relume.wiring.services import Services

BAD_INPUT = 422
_MAX_PAGE = 100
_LARGEST_OFFSET = 2**31 - 1
_LONGEST_SEARCH = 200
_STATUS = Query(description=" or ".join(STATUSES))


def add_list(routes: APIRouter, services: Services, gate: Gate) -> None:
    repository, settings = services.jobs.repository, services.settings

    @routes.get(
        "/jobs",
        summary="A page of jobs, the newest first",
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong) | documented(InvalidParameter, status=BAD_INPUT),
    )
    async def jobs(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 20,
        offset: Annotated[int, Query(ge=0, le=_LARGEST_OFFSET)] = 0,
        status_filter: Annotated[str | None, _STATUS] = None,
        status: Annotated[str | None, Query(description="The same as status_filter")] = None,
        kind: Annotated[Kind | None, Query(description="What the jobs make")] = None,
        search: Annotated[
            str | None,
            Query(max_length=_LONGEST_SEARCH, description="A part of the file's name, else of the prompt"),
        ] = None,
    ) -> Page:
        """Of all contracts, and of the caller's key alone unless it is an operator's.

        A job that is about a photo has no `prompt`. All filters that are given have to hold.
        """
        chosen = JobFilter(
            status=_status(status_filter, status),
            kind=kind,
            search=_search(search),
            client=gate.sees_only(request),
        )
        found = await repository.page(chosen, limit=limit, offset=offset)
        attempts = await repository.attempt_counts([job.id for job in found[1]])
        return page(found, attempts, (limit, offset), settings, request)

    @routes.delete(
        "/jobs/{job_id}/files",
        summary="Delete what is kept of a job",
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def delete(job_id: str, request: Request) -> JobEntry:
        """The photo, the result, its metadata and the photo's name, at once and for good. The record stays.

        Asking again changes nothing. A job that has not ended has to be cancelled first.
        """
        now = services.clock.now()
        job = await delete_files(job_id_of(job_id), repository, services.store, now)
        attempts = await repository.attempt_counts([job.id])
        return job_entry(job, attempts.get(job.id, 0), settings, request)


def _status(*given: str | None) -> JobStatus | None:
    """The one state that is asked for under either name. Raises InvalidParameter."""
    words = {word for word in given if word is not None}
    if len(words) > 1:
        raise InvalidParameter("status and status_filter are two names of one filter: give one of them.")
    for word in words:
        if word not in STATUSES:
            raise InvalidParameter(f"status_filter must be one of {', '.join(STATUSES)}.")
        return STATUSES[word]
    return None


def _search(given: str | None) -> str | None:
    """None for a search of nothing. Raises InvalidParameter."""
    if given is not None and "\0" in given:
        raise InvalidParameter("search must not hold the character NUL.")
    return (given or "").strip() or None
