"""Ids in paths."""

from __future__ import annotations

from uuid import UUID

from relume.errors import NotFound


def job_id_of(text: str) -> UUID:
    """What is no id is an unknown job, not a malformed request. Raises NotFound."""
    try:
        found = UUID(text)
    except ValueError as error:
        raise NotFound("There is no job with this id.") from error
    if str(found) != text.lower():
        raise NotFound("There is no job with this id.")
    return found
