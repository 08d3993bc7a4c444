"""Many results in one download, for whoever knows their addresses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from relume.errors import Conflict, Expired, InternalError, InvalidInput, InvalidParameter, NotFound
from relume.http.files import EXPIRED, extension_of
from relume.http.ids import job_id_of
from relume.http.problems import documented
from relume.http.result_zip import Entry, zip_answer
from relume.http.uploads import read_small
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import JobService

MAX_NAMES = 500
_FORM = "application/x-www-form-urlencoded"
_NO_FILE = NotFound("There is no such file.")
_NO_RESULT = Conflict("This job has no result yet, or it failed.")


def router(jobs: JobService) -> APIRouter:
    routes = APIRouter(tags=["results"])

    @routes.post(
        "/results/zip",
        summary="Results of many jobs as one ZIP",
        response_class=Response,
        openapi_extra={"requestBody": _body_schema()},
        responses=documented(InvalidInput, InvalidParameter, NotFound, Conflict, Expired, InternalError)
        | {200: {"content": {"application/zip": {}}}},
    )
    async def download(request: Request) -> Response:
        """A browser's plain form can ask for it: `name` once for each result, as its address ends.

        The files are named as the clients' photos were. `manifest.csv` and `manifest.json` tell of each, and of
        those that cannot be had.
        """
        names = await _names(request)
        entries = await _entries(jobs, names)
        _check_any(entries)
        return zip_answer(jobs, entries, f"{datetime.now(UTC):%Y%m%d-%H%M%S}")

    return routes


async def _names(request: Request) -> list[str]:
    """What was asked for, each once. Raises InvalidInput, InvalidParameter."""
    body = await read_small(request)
    is_form = request.headers.get("content-type", "").lower().startswith(_FORM)
    names = _of_form(body) if is_form else _of_json(body)
    names = list(dict.fromkeys(names))
    if not 1 <= len(names) <= MAX_NAMES:
        raise InvalidParameter(f"Send 1 to {MAX_NAMES} names of results, each as 'name'.")
    return names


def _of_form(body: bytes) -> list[str]:
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).get("name", [])


def _of_json(body: bytes) -> list[str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"Send a form ({_FORM}) or JSON, with the names of results.") from error
    names = found.get("name") if isinstance(found, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidParameter("name must be a list of names of results.")
    return names


async def _entries(jobs: JobService, names: list[str]) -> list[Entry]:
    """One for each name, in their order."""
    ids: dict[str, Any] = {}
    for name in names:
        try:
            ids[name] = job_id_of(name.rpartition(".")[0])
        except NotFound:
            ids[name] = None
    wanted = sorted({job_id for job_id in ids.values() if job_id})
    found = {job.id: job for job in await jobs.repository.get_many(wanted)}
    return [_entry(name, found.get(ids[name])) for name in names]


def _entry(name: str, job: Job | None) -> Entry:
    if job is None:
        return Entry(None, name[:100], _NO_FILE)
    if job.files_deleted_at is not None:
        return Entry(job, fault=Expired(EXPIRED))
    if job.status is not JobStatus.SUCCEEDED:
        return Entry(job, fault=_NO_RESULT)
    if name.rpartition(".")[2] != extension_of(job):
        return Entry(None, name[:100], _NO_FILE)
    return Entry(job)


def _check_any(entries: list[Entry]) -> None:
    """Raises Expired, Conflict or NotFound when there is nothing to send."""
    if any(entry.has_result for entry in entries):
        return
    faults = {type(entry.fault) for entry in entries}
    if Expired in faults:
        raise Expired("The files of these results were deleted after their time. Their records are kept.")
    if Conflict in faults:
        raise Conflict("None of these jobs has a result yet, or all of them failed.")
    raise NotFound("There are no such files.")


def _body_schema() -> dict[str, Any]:
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_NAMES}
    schema = {"type": "object", "required": ["name"], "properties": {"name": names}}
    return {"required": True, "content": {kind: {"schema": schema} for kind in (_FORM, "application/json")}}
