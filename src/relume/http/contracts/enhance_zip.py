"""The results of a batch as one ZIP, with a manifest for people (CSV) and one for programs (JSON)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from relume.errors import Conflict, Expired, NotFound, RelumeError
from relume.http.archive import ZipWriter
from relume.http.contracts.enhance_answers import EXPIRED, shown_name
from relume.imaging.photo import ImageFormat
from relume.jobs.filenames import unique_name
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import JobService

MANIFEST_CSV, MANIFEST_JSON = "manifest.csv", "manifest.json"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def check_has_results(jobs: Sequence[Job]) -> None:
    """Raises Conflict before there is a result, and Expired when there is none any more."""
    succeeded = [job for job in jobs if job.status is JobStatus.SUCCEEDED]
    if not succeeded:
        raise Conflict("There is no result to download yet, or every file failed.")
    if all(job.files_deleted_at is not None for job in succeeded):
        raise Expired("The files of this job were deleted after their time. Its record is kept.")


async def stream_zip(service: JobService, jobs: Sequence[Job], now: datetime) -> AsyncGenerator[bytes, None]:
    """The results that are there, under their photos' names, and manifests of all files at the end."""
    archive = ZipWriter()
    taken = {MANIFEST_CSV, MANIFEST_JSON}
    rows = []
    try:
        for job in jobs:
            row = _row(job)
            if job.status is JobStatus.SUCCEEDED and job.result_format is not None:
                try:
                    _, size_bytes, chunks = await service.open_result(job.id)
                except (Expired, NotFound, Conflict) as error:
                    row["error"] = _reason(error)
                else:
                    name = unique_name(shown_name(job), ImageFormat(job.result_format).extension, taken)
                    taken.add(name.lower())
                    row["name"] = name
                    member = archive.member(name, size_bytes, job.finished_at or now, chunks)
                    async with aclosing(member) as pieces:
                        async for piece in pieces:
                            yield piece
            rows.append(row)
        yield archive.whole(MANIFEST_CSV, _csv(rows), now)
        yield archive.whole(MANIFEST_JSON, json.dumps(rows, indent=2, ensure_ascii=False).encode(), now)
    finally:
        end = archive.end()  # Also when the client has left: an open archive complains when it is collected.
    yield end


def _reason(error: RelumeError) -> str:
    return EXPIRED if isinstance(error, Expired) else error.detail


def _row(job: Job) -> dict[str, Any]:
    """One file in the manifests."""
    report = job.report or []
    return {
        "original_filename": shown_name(job),
        "name": None,
        "job_id": str(job.id),
        "status": job.status.value,
        "outcome": job.outcome,
        "original_bytes": job.input_bytes,
        "original_width": job.input_width,
        "original_height": job.input_height,
        "result_bytes": job.result_bytes,
        "result_width": job.result_width,
        "result_height": job.result_height,
        "provider": _joined(part["provider"] for part in report),
        "model": _joined(part["model"] for part in report),
        "seconds": round(sum(part["seconds"] for part in report), 3) if report else None,
        "cost_usd": job.cost_usd,
        "fidelity": job.fidelity,
        "error_code": job.error_code,
        "error": job.error_detail,
    }


def _joined(names: Any) -> str | None:
    return " + ".join(dict.fromkeys(names)) or None


def _csv(rows: list[dict[str, Any]]) -> bytes:
    """With a byte order mark: without it, Excel takes UTF-8 for something else."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    """A spreadsheet would run a file name that begins like a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
