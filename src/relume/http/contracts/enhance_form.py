"""Contract C's form: its files, stored as they come, and its fields as a recipe."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from relume.errors import ImageMissing, InvalidParameter
from relume.http.contracts.enhance_faces import FACE_FIELDS, chosen_faces
from relume.http.local_only import FIELD
from relume.http.multipart import FormLimits, read_parts
from relume.imaging.limits import MEGABYTE
from relume.jobs.batches import Intake
from relume.recipes import ENHANCE_FACES_MODEL, ENHANCE_MODEL, Recipe, build
from relume.settings import Settings

SCALES = (2, 4)
SCALE_DEFAULT = 4


async def read_files(request: Request, intake: Intake, settings: Settings) -> dict[str, str]:
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


def recipe_of(
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


def form_schema(settings: Settings) -> dict[str, Any]:
    """The request body for /openapi.json."""
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
