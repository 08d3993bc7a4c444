"""Contract E: pictures from prompts, and the jobs of all contracts for those who look after them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from relume.errors import (
    Conflict,
    Expired,
    IdempotencyMismatch,
    InternalError,
    InvalidInput,
    InvalidParameter,
    KeyMissing,
    KeyWrong,
    NoProvider,
    NotFound,
    RateLimited,
    UnknownModel,
)
from relume.http import files, problems
from relume.http.contracts.generate_answers import Accepted, JobState, accepted, state
from relume.http.contracts.generate_list import BAD_INPUT, add_list
from relume.http.contracts.generate_request import GenerateRequest, read_request, task_parameters
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import local_only
from relume.http.problems import documented
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key, read_json
from relume.jobs.files import is_media, metadata_key
from relume.jobs.metadata import describe
from relume.jobs.models import Job, JobStatus
from relume.jobs.service import Submission
from relume.picture_models import check_allowed
from relume.recipes import GENERATION_MODEL, build
from relume.wiring.services import Services

CONTRACT = "generate"
_METADATA_EXPIRED = "The metadata of this job were deleted after their time."
_UNFINISHED = "This job is not finished yet. Try again when its status is completed."


class GenerateRoute(APIRoute):
    """What is wrong with a request is told with 422. The two that all contracts share keep their status."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return problems.response(problems.of_validation(error), status=BAD_INPUT)
            except IdempotencyMismatch:
                raise
            except InvalidInput as error:
                return problems.response(error, status=BAD_INPUT)

        return handle_or_tell


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/api/v1", tags=["E: generation"], route_class=GenerateRoute)
    routes.dependencies.append(Depends(gate.require_key))
    _add_creation(routes, services, gate)
    _add_reading(routes, services)
    add_list(routes, services, gate)
    _add_job(routes, services)
    return routes


def media_router(services: Services) -> APIRouter:
    """Open to whoever knows the address: it holds an unguessable id."""
    routes = APIRouter(tags=["E: generation"])

    @routes.head("/media/{filename}", include_in_schema=False)
    @routes.get(
        "/media/{filename}",
        summary="A generated picture",
        response_class=Response,
        responses=documented(NotFound, Expired)
        | {
            200: {"content": {"image/png": {}}},
            307: {"description": "The file lies at the address in Location, for a while"},
        },
    )
    async def media(filename: str, request: Request, delivery: files.Delivery = None) -> Response:
        stem, _, extension = filename.rpartition(".")
        job = await services.jobs.get(job_id_of(stem))
        if extension != files.extension_of(job) or not is_media(job):
            raise NotFound("There is no such file.")
        if link := await files.link_to(services.jobs, services.settings, job, request, delivery):
            return link
        return await files.served(services.jobs, job.id, request)

    return routes


def _add_creation(routes: APIRouter, services: Services, gate: Gate) -> None:
    @routes.post(
        "/generate",
        status_code=201,
        summary="Make a picture from a prompt",
        dependencies=[Depends(gate.limit_rate)],
        openapi_extra={"requestBody": _body_schema(), "parameters": [IDEMPOTENCY_PARAMETER]},
        responses=documented(
            IdempotencyMismatch, KeyMissing, KeyWrong, RateLimited, InternalError, NoProvider
        )
        | documented(InvalidInput, InvalidParameter, UnknownModel, status=BAD_INPUT),
    )
    async def generate(request: Request, response: Response) -> Accepted:
        """Answers at once. Poll `GET /api/v1/status/{job_id}`, and fetch the picture from its `result_url`."""
        asked = read_request(await read_json(request))
        stays_local = local_only(asked.local_only, gate, request)
        check_allowed(asked.model_name, services.settings.generation_models)
        parameters = task_parameters(asked)
        recipe = build(GENERATION_MODEL, strength=1.0, parameters=parameters, local_only=stays_local)
        services.catalog.check_local(recipe)
        if not services.catalog.served_by(recipe):
            raise NoProvider("No service is configured that has this model.")
        job = await services.jobs.submit(
            Submission(
                contract=CONTRACT,
                recipe=recipe,
                lane=services.catalog.lane(recipe),
                parameters=parameters,
                client=gate.client(request),
                idempotency_key=idempotency_key(request),
            )
        )
        response.headers["Location"] = f"/api/v1/status/{job.id}"
        return accepted(job, await _attempts(services, job.id))


def _add_reading(routes: APIRouter, services: Services) -> None:
    settings = services.settings

    @routes.get(
        "/status/{job_id}",
        summary="The state of a job",
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound),
    )
    async def status(job_id: str, request: Request, response: Response) -> JobState:
        response.headers["Cache-Control"] = "no-store"
        job = await services.jobs.get(job_id_of(job_id))
        position = await services.batches.queue_position([job])
        return state(job, await _attempts(services, job.id), settings, request, position)


def _add_job(routes: APIRouter, services: Services) -> None:
    @routes.get(
        "/jobs/{job_id}/metadata",
        summary="How a picture was made",
        responses=documented(KeyMissing, KeyWrong, NotFound, Expired),
    )
    async def metadata(job_id: str) -> dict[str, Any]:
        """What was asked for, who made it, in which attempts and at what cost; what is not known is left out."""
        return await _metadata(services, await services.jobs.get(job_id_of(job_id)))

    @routes.delete(
        "/jobs/{job_id}",
        summary="Cancel a pending or processing job",
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def cancel(job_id: str, request: Request) -> JobState:
        """At the provider too. A processing job reads `cancelled` as soon as its worker has stopped."""
        job = await services.jobs.cancel(job_id_of(job_id))
        return state(job, await _attempts(services, job.id), services.settings, request)

    @routes.get(
        "/download/{job_id}",
        summary="The result as an attachment",
        response_class=Response,
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict, Expired)
        | {200: {"content": {"image/png": {}, "image/jpeg": {}}}},
    )
    async def download(job_id: str, request: Request) -> Response:
        job = await services.jobs.get(job_id_of(job_id))
        if not job.status.has_ended:
            raise Conflict(_UNFINISHED)
        if job.status is not JobStatus.SUCCEEDED:
            raise Conflict("This job has no result: it was cancelled, or it failed.")
        return await files.served(services.jobs, job.id, request, as_attachment=True)


async def _attempts(services: Services, job_id: UUID) -> int:
    return (await services.jobs.repository.attempt_counts([job_id])).get(job_id, 0)


async def _metadata(services: Services, job: Job) -> dict[str, Any]:
    """From the file, or from the job's row while there is none. Raises Expired when it has been deleted."""
    if is_media(job) and job.status is JobStatus.SUCCEEDED:
        try:
            return await files.document(services.store, metadata_key(job.id))
        except NotFound:
            if (await services.jobs.get(job.id)).staged_key is None:
                raise Expired(_METADATA_EXPIRED) from None
    return describe(job, await services.jobs.repository.attempts(job.id))


def _body_schema() -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": GenerateRequest.model_json_schema()}},
    }
