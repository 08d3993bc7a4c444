"""Contract C's choice among faces: which of them, and how much of each."""

from __future__ import annotations

import re
from typing import Any, get_args

from relume.errors import InvalidParameter
from relume.tasks import FaceRegion

REGIONS: tuple[str, ...] = get_args(FaceRegion)
_MOST_FACES = 200
"""More are never looked for in a photo."""
_INDICES = re.compile(r"\d{1,3}(\s*,\s*\d{1,3})*", re.ASCII)

FACE_FIELDS: dict[str, Any] = {
    "face_region": {
        "type": "string",
        "enum": list(REGIONS),
        "default": "face",
        "description": "How much of each face is restored",
    },
    "faces": {
        "type": "string",
        "pattern": rf"^{_INDICES.pattern}$",
        "description": "Which faces, like 0,2: counted from 0, left to right, then top to bottom; without it, all",
    },
}


def chosen_faces(fields: dict[str, str]) -> dict[str, Any]:
    """What the recipe is asked for; nothing for what is the default. Raises InvalidParameter."""
    region = fields.get("face_region", "face")
    if region not in REGIONS:
        raise InvalidParameter(f"face_region must be {' or '.join(REGIONS)}.")
    chosen: dict[str, Any] = {} if region == "face" else {"region": region}
    if "faces" in fields:
        chosen["faces"] = _indices(fields["faces"])
    return chosen


def _indices(text: str) -> list[int]:
    """In order, each once: the same choice is the same job."""
    if len(text) <= 5 * _MOST_FACES and _INDICES.fullmatch(text):
        found = sorted({int(index) for index in text.split(",")})
        if found[-1] < _MOST_FACES:
            return found
    raise InvalidParameter(
        f"faces must be numbers from 0 to {_MOST_FACES - 1} with commas between them, like 0,2."
    )
