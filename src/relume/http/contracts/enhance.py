"""Contract C: many photos at once. `POST /enhance`, `GET /status/{job_id}`, `GET /processed/{name}`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from relume.errors import (
    Conflict,
    Expired,
    IdempotencyMismatch,
    ImageMissing,
    ImageTooLarge,
    InternalError,
    InvalidInput,
    InvalidParameter,
    KeyMissing,
    KeyWrong,
    NoProvider,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RestoreDisabled,
    ServiceAway,
)
from relume.http import files
from relume.http.contracts.enhance_answers import Accepted, BatchState, batch_state
from relume.http.contracts.enhance_form import form_schema, read_files, recipe_of
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import local_only
from relume.http.problems import documented
from relume.http.result_zip import Entry, check_has_results, zip_answer
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key
from relume.jobs.batches import BatchSubmission
from relume.jobs.models import Job
from relume.wiring.services import Services

CONTRACT = "enhance"


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(tags=["C: enhance"])
    _add_enhance(routes, services, gate)
    _add_status(routes, services, gate)
    _add_cancel(routes, services, gate)
    _add_retry(routes, services, gate)
    _add_zip(routes, services)
    _add_results(routes, services)
    return routes


_ENHANCE_ERRORS = (
    InvalidInput,
    InvalidParameter,
    ImageMissing,
    IdempotencyMismatch,
    KeyMissing,
    KeyWrong,
    ImageTooLarge,
    RateLimited,
    QuotaExceeded,
    InternalError,
    RestoreDisabled,
    ServiceAway,
    NoProvider,
)
_RETRY_ERRORS = (
    KeyMissing,
    KeyWrong,
    NotFound,
    Conflict,
    RateLimited,
    QuotaExceeded,
    InternalError,
    RestoreDisabled,
)


def _add_enhance(routes: APIRouter, services: Services, gate: Gate) -> None:
    batches, settings = services.batches, services.settings

    @routes.post(
        "/enhance",
        status_code=202,
        summary="Enlarge photos, and restore the faces in them",
        dependencies=[Depends(gate.require_key), Depends(gate.admit_job)],
        openapi_extra={"requestBody": form_schema(settings), "parameters": [IDEMPOTENCY_PARAMETER]},
        responses=documented(*_ENHANCE_ERRORS),
    )
    async def enhance(request: Request, response: Response) -> Accepted:
        """Answers when all files are stored. Poll `GET /status/{job_id}`.

        A file that is no photo, or too large, is an entry with an `error`; the others go on.
        """
        async with batches.intake() as intake:
            fields = await read_files(request, intake, settings)
            stays_local = local_only(fields.get("local_only"), gate, request)
            recipe, options, parameters = recipe_of(fields, stays_local=stays_local)
            services.catalog.check_local(recipe)
            batch = await intake.submit(
                BatchSubmission(
                    contract=CONTRACT,
                    recipe=recipe,
                    lane=services.catalog.lane(recipe),
                    options=options,
                    parameters=parameters,
                    client=gate.client(request),
                    idempotency_key=idempotency_key(request),
                )
            )
        response.headers["Location"] = f"/status/{batch.id}"
        position = await batches.queue_position(await batches.jobs(batch.id))
        return Accepted(job_id=str(batch.id), status="queued", queue_position=position or 1)


def _add_status(routes: APIRouter, services: Services, gate: Gate) -> None:
    @routes.get(
        "/status/{job_id}",
        summary="What came of the photos so far",
        dependencies=[Depends(gate.require_key)],
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound),
    )
    async def status(job_id: str, response: Response) -> BatchState:
        response.headers["Cache-Control"] = "no-store"
        return await _state(services, job_id, await services.batches.jobs(job_id_of(job_id)))


def _add_cancel(routes: APIRouter, services: Services, gate: Gate) -> None:
    @routes.delete(
        "/enhance/{job_id}",
        summary="Cancel what has not ended",
        dependencies=[Depends(gate.require_key)],
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def cancel(job_id: str) -> BatchState:
        """Waiting files end at once, those being worked on at their next step. Results are kept."""
        return await _state(services, job_id, await services.batches.cancel(job_id_of(job_id)))


def _add_retry(routes: APIRouter, services: Services, gate: Gate) -> None:
    @routes.post(
        "/enhance/{job_id}/retry",
        status_code=202,
        summary="Try the failed and cancelled files again",
        dependencies=[Depends(gate.require_key), Depends(gate.admit_job)],
        response_model_exclude_none=True,
        responses=documented(*_RETRY_ERRORS),
    )
    async def retry(job_id: str) -> BatchState:
        """Each gets a new job in its place. What was refused when it came, or has expired, stays as it is."""
        return await _state(services, job_id, await services.batches.retry(job_id_of(job_id)))


def _add_zip(routes: APIRouter, services: Services) -> None:
    """Open to whoever knows the address, as the results themselves are: it holds an unguessable id."""

    @routes.get(
        "/enhance/{job_id}/zip",
        summary="The results so far as one ZIP",
        response_class=Response,
        responses=documented(NotFound, Conflict, Expired) | {200: {"content": {"application/zip": {}}}},
    )
    async def download(job_id: str) -> Response:
        """Named as the photos were, with `manifest.csv` and `manifest.json` of all files."""
        jobs = await services.batches.jobs(job_id_of(job_id))
        check_has_results(jobs)
        return zip_answer(services.jobs, [Entry(job) for job in jobs], job_id.lower()[:8])


def _add_results(routes: APIRouter, services: Services) -> None:
    @routes.head("/processed/{name}", include_in_schema=False)
    @routes.get(
        "/processed/{name}",
        summary="A result file",
        response_class=Response,
        responses=documented(NotFound, Conflict, Expired)
        | {
            200: {"content": {"image/png": {}, "image/jpeg": {}}},
            307: {"description": "The file lies at the address in Location, for a while"},
        },
    )
    async def processed(name: str, request: Request, delivery: files.Delivery = None) -> Response:
        return await files.named(services.jobs, services.settings, name, request, delivery)


async def _state(services: Services, job_id: str, jobs: list[Job]) -> BatchState:
    position = await services.batches.queue_position(jobs)
    return batch_state(job_id.lower(), jobs, position, services.settings.result_base_url)
