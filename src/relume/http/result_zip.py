"""Results as one ZIP, with a manifest for people (CSV) and one for programs (JSON)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from relume.errors import Conflict, Expired, NotFound, RelumeError
from relume.http.archive import ZipWriter
from relume.http.files import EXPIRED, TEXT, extension_of, shown_name
from relume.jobs.filenames import unique_name
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import JobService

MANIFEST_CSV, MANIFEST_JSON = "manifest.csv", "manifest.json"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the manifests: a job, or a result that was asked for and cannot be had."""

    job: Job | None
    asked: str = ""
    """What the client named, where there is no such job."""
    fault: RelumeError | None = None

    @property
    def has_result(self) -> bool:
        """As far as the record tells: the file may still be missing when its turn comes."""
        job = self.job
        if job is None or self.fault is not None or job.files_deleted_at is not None:
            return False
        return job.status is JobStatus.SUCCEEDED


def check_has_results(jobs: Sequence[Job]) -> None:
    """Raises Conflict before there is a result, and Expired when there is none any more."""
    succeeded = [job for job in jobs if job.status is JobStatus.SUCCEEDED]
    if not succeeded:
        raise Conflict("There is no result to download yet, or every file failed.")
    if all(job.files_deleted_at is not None for job in succeeded):
        raise Expired("The files of this job were deleted after their time. Its record is kept.")


def zip_answer(service: JobService, entries: Sequence[Entry], name: str) -> Response:
    """The ZIP as an attachment, `relume-{name}.zip`."""
    headers = {
        "Content-Disposition": f'attachment; filename="relume-{name}.zip"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    chunks = stream_zip(service, entries, datetime.now(UTC))
    return StreamingResponse(chunks, headers=headers, media_type="application/zip")


async def stream_zip(
    service: JobService, entries: Sequence[Entry], now: datetime
) -> AsyncGenerator[bytes, None]:
    """The results that are there, under their photos' names, and manifests of all files at the end."""
    archive = ZipWriter()
    taken = {MANIFEST_CSV, MANIFEST_JSON}
    rows = []
    try:
        for entry in entries:
            row = _row(entry)
            rows.append(row)
            job = entry.job
            if job is None or entry.fault or job.status is not JobStatus.SUCCEEDED:
                continue
            try:
                size_bytes, chunks = await _opened(service, job)
            except (Expired, NotFound, Conflict) as error:
                row["error_code"], row["error"] = error.code, _reason(error)
                continue
            name = unique_name(shown_name(job), extension_of(job), taken)
            taken.add(name.lower())
            row["name"] = name
            member = archive.member(name, size_bytes, job.finished_at or now, chunks)
            async with aclosing(member) as pieces:
                async for piece in pieces:
                    yield piece
        yield archive.whole(MANIFEST_CSV, _csv(rows), now)
        yield archive.whole(MANIFEST_JSON, json.dumps(rows, indent=2, ensure_ascii=False).encode(), now)
    finally:
        end = archive.end()  # Also when the client has left: an open archive complains when it is collected.
    yield end


async def _opened(service: JobService, job: Job) -> tuple[int, AsyncIterator[bytes]]:
    """A result's size in bytes, and its chunks. Raises Expired, NotFound, Conflict."""
    if extension_of(job) != TEXT:
        _, size_bytes, chunks = await service.open_result(job.id)
        return size_bytes, chunks
    text = (await service.get(job.id)).result_text
    if text is None:
        raise Expired(EXPIRED)
    return len(text.encode()), _once(text.encode())


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _reason(error: RelumeError) -> str:
    return EXPIRED if isinstance(error, Expired) else error.detail


def _row(entry: Entry) -> dict[str, Any]:
    """One file in the manifests: the same columns for all, what is not known is None."""
    row = _row_of(entry.job) if entry.job else dict.fromkeys(_COLUMNS) | {"original_filename": entry.asked}
    if entry.fault:
        row["error_code"], row["error"] = entry.fault.code, _reason(entry.fault)
    return row


def _row_of(job: Job) -> dict[str, Any]:
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


_COLUMNS = (
    *("original_filename", "name", "job_id", "status", "outcome"),
    *("original_bytes", "original_width", "original_height"),
    *("result_bytes", "result_width", "result_height"),
    *("provider", "model", "seconds", "cost_usd", "fidelity", "error_code", "error"),
)


def _joined(names: Any) -> str | None:
    return " + ".join(dict.fromkeys(names)) or None


def _csv(rows: list[dict[str, Any]]) -> bytes:
    """With a byte order mark: without it, Excel takes UTF-8 for something else."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=_COLUMNS)
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: Any) -> Any:
    """A spreadsheet would run a file name that begins like a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
