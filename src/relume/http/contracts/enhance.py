"""Contract C: many photos at once. `POST /enhance`, `GET /status/{job_id}`, `GET /processed/{name}`."""

from __future__ import annotations

from typing import Any

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
from relume.http.contracts.enhance_faces import FACE_FIELDS, chosen_faces
from relume.http.gate import Gate
from relume.http.ids import job_id_of
from relume.http.local_only import FIELD, local_only
from relume.http.multipart import FormLimits, read_parts
from relume.http.problems import documented
from relume.http.result_zip import Entry, check_has_results, zip_answer
from relume.http.uploads import IDEMPOTENCY_PARAMETER, idempotency_key
from relume.imaging.limits import MEGABYTE
from relume.jobs.batches import BatchSubmission, Intake
from relume.jobs.models import Job
from relume.recipes import ENHANCE_FACES_MODEL, ENHANCE_MODEL, Recipe, build
from relume.settings import Settings
from relume.wiring import Services

CONTRACT = "enhance"
SCALES = (2, 4)
SCALE_DEFAULT = 4


def router(services: Services, gate: Gate) -> APIRouter:
    routes = APIRouter(tags=["C: enhance"])
    batches, settings = services.batches, services.settings
    key = [Depends(gate.require_key)]

    async def state(job_id: str, jobs: list[Job]) -> BatchState:
        position = await batches.queue_position(jobs)
        return batch_state(job_id.lower(), jobs, position, settings.result_base_url)

    @routes.post(
        "/enhance",
        status_code=202,
        summary="Enlarge photos, and restore the faces in them",
        dependencies=[*key, Depends(gate.admit_job)],
        openapi_extra={"requestBody": _form_schema(settings), "parameters": [IDEMPOTENCY_PARAMETER]},
        responses=documented(*_ENHANCE_ERRORS),
    )
    async def enhance(request: Request, response: Response) -> Accepted:
        """Answers when all files are stored. Poll `GET /status/{job_id}`.

        A file that is no photo, or too large, is an entry with an `error`; the others go on.
        """
        async with batches.intake() as intake:
            fields = await _read(request, intake, settings)
            stays_local = local_only(fields.get("local_only"), gate, request)
            recipe, options, parameters = _recipe(fields, stays_local=stays_local)
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

    @routes.get(
        "/status/{job_id}",
        summary="What came of the photos so far",
        dependencies=key,
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound),
    )
    async def status(job_id: str, response: Response) -> BatchState:
        response.headers["Cache-Control"] = "no-store"
        return await state(job_id, await batches.jobs(job_id_of(job_id)))

    @routes.delete(
        "/enhance/{job_id}",
        summary="Cancel what has not ended",
        dependencies=key,
        response_model_exclude_none=True,
        responses=documented(KeyMissing, KeyWrong, NotFound, Conflict),
    )
    async def cancel(job_id: str) -> BatchState:
        """Waiting files end at once, those being worked on at their next step. Results are kept."""
        return await state(job_id, await batches.cancel(job_id_of(job_id)))

    @routes.post(
        "/enhance/{job_id}/retry",
        status_code=202,
        summary="Try the failed and cancelled files again",
        dependencies=[*key, Depends(gate.admit_job)],
        response_model_exclude_none=True,
        responses=documented(
            KeyMissing,
            KeyWrong,
            NotFound,
            Conflict,
            RateLimited,
            QuotaExceeded,
            InternalError,
            RestoreDisabled,
        ),
    )
    async def retry(job_id: str) -> BatchState:
        """Each gets a new job in its place. What was refused when it came, or has expired, stays as it is."""
        return await state(job_id, await batches.retry(job_id_of(job_id)))

    @routes.get(
        "/enhance/{job_id}/zip",
        summary="The results so far as one ZIP",
        response_class=Response,
        responses=documented(NotFound, Conflict, Expired) | {200: {"content": {"application/zip": {}}}},
    )
    async def download(job_id: str) -> Response:
        """Named as the photos were, with `manifest.csv` and `manifest.json` of all files."""
        jobs = await batches.jobs(job_id_of(job_id))
        check_has_results(jobs)
        return zip_answer(services.jobs, [Entry(job) for job in jobs], job_id.lower()[:8])

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


async def _read(request: Request, intake: Intake, settings: Settings) -> dict[str, str]:
    """Store the form's files as they come; give its fields. Raises ImageMissing when there is no file."""
    limits = FormLimits(
        max_files=settings.enhance_max_files,
        max_file_bytes=settings.max_file_bytes,
        max_total_bytes=int(settings.enhance_max_total_mb * MEGABYTE),
    )
    fields: dict[str, str] = {}
    async for part in read_parts(request, limits):
        if part.filename is None:
            fields[part.name] = part.text.strip()
        elif part.filename or part.size_bytes:  # A file field that was left empty has neither.
            data = None if part.data is None else bytes(part.data)
            part.data = None
            await intake.receive(part.filename, data, part.size_bytes)
    if not intake.files:
        raise ImageMissing("No photo was sent. Send one or more files in fields named 'files'.")
    return fields


def _recipe(
    fields: dict[str, str], *, stays_local: bool
) -> tuple[Recipe, dict[str, Any], dict[str, Any] | None]:
    """The recipe, the form's options, and what the recipe's jobs ask for beyond it. Raises InvalidParameter."""
    face_enhance = fields.get("face_enhance", "true").lower()
    if face_enhance not in ("true", "false"):
        raise InvalidParameter("face_enhance must be true or false.")
    scale = fields.get("scale", str(SCALE_DEFAULT))
    if scale not in map(str, SCALES):
        raise InvalidParameter("scale must be 2 or 4.")
    chosen = chosen_faces(fields)
    if chosen and face_enhance == "false":
        raise InvalidParameter("face_region and faces need face_enhance to be true.")
    options = {"face_enhance": face_enhance == "true", "scale": int(scale)} | chosen
    model = ENHANCE_FACES_MODEL if options["face_enhance"] else ENHANCE_MODEL
    options |= {"local_only": True} if stays_local else {}
    recipe = build(model, strength=1.0, scale=int(scale), parameters=chosen, local_only=stays_local)
    return recipe, options, chosen or None


def _form_schema(settings: Settings) -> dict[str, Any]:
    properties = {
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "minItems": 1,
            "maxItems": settings.enhance_max_files,
            "description": "JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF",
        },
        "face_enhance": {"type": "boolean", "default": True, "description": "Restore faces first"},
        "scale": {"type": "integer", "enum": list(SCALES), "default": SCALE_DEFAULT},
        **FACE_FIELDS,
        "local_only": FIELD,
    }
    schema = {"type": "object", "required": ["files"], "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
